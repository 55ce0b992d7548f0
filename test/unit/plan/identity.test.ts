import assert from 'node:assert/strict';
import fc from 'fast-check';
import { isPluginName } from '../../../src/declare/plugin-name.ts';
import {
  anchorUnitName,
  machineName,
  parseAnchorUnit,
  parseSandboxUnit,
  pluginSliceName,
  sandboxUnitName,
  UID_RANGE_COUNT,
  UID_RANGE_SIZE,
  uidBaseOf,
  uidRangeIndex,
} from '../../../src/plan/identity.ts';

const names = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,46}[a-z0-9]$/).filter(isPluginName);
const slots = fc.constantFrom('a' as const, 'b' as const);
const kinds = fc.constantFrom('nspawn' as const, 'scope' as const);
const generations = fc.integer({ min: 0, max: 99_999_999 });

/** hostname_is_valid() of systemd without trailing dots: labels of letters, digits and inner '-', 64 characters in all. */
const HOST_NAME = /^(?=.{1,64}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

describe('identity', () => {
  it('reads back every sandbox unit that it names', () => {
    fc.assert(
      fc.property(names, slots, generations, kinds, (plugin, slot, generation, isolation) => {
        const unit = sandboxUnitName(plugin, slot, generation, isolation);
        assert.deepEqual(parseSandboxUnit(unit), { plugin, slot, generation, isolation });
        assert.match(unit, /^[A-Za-z0-9:_.\\-]{1,255}$/);
      }),
    );
  });

  it('takes no other unit for a sandbox', () => {
    const others = [
      'plugin-hello-a-g01.service',
      'plugin-hello-c-g1.service',
      'plugin-hello-a-g1.socket',
      'plugin-hello-a-g1.scope.service',
      'plugin-hello-a-g.service',
      'plugin-a-g1.service',
      'plugin-my-plugin-a-g1.service',
      'plugin-\\x68ello-a-g1.service',
      'plugin-Hello-a-g1.service',
      'xplugin-hello-a-g1.service',
      'plugin-hello-a-g1.service.d',
      'plugin-hello-a-g9999999999999999.service',
      'plugin-\\x2d-a-g1.service',
      '',
    ];
    for (const unit of others) assert.equal(parseSandboxUnit(unit), undefined, unit);
  });

  it('never nests slices', () => {
    fc.assert(
      fc.property(names, (plugin) => {
        assert.match(pluginSliceName(plugin), /^plugin-[^-]+\.slice$/);
      }),
    );
  });

  it('gives valid host names, no two plugins the same', () => {
    fc.assert(
      fc.property(names, names, slots, generations, (one, other, slot, generation) => {
        const machine = machineName(one, slot, generation);
        assert.match(machine, HOST_NAME);
        assert.equal(machine === machineName(other, slot, generation), one === other);
      }),
    );
    assert.notEqual(machineName('a_b', 'a', 1), machineName('a-b', 'a', 1));
    for (const odd of ['a.-b', 'a-.b', 'a-.-b', 'a._-b', 'a--b'])
      assert.match(machineName(odd, 'a', 1), HOST_NAME, odd);
  });

  it('reads anchors as people type them', () => {
    assert.equal(anchorUnitName('my-plugin'), 'plugin@my-plugin.service');
    assert.equal(parseAnchorUnit('plugin@my-plugin.service'), 'my-plugin');
    for (const odd of [
      'plugin@.service',
      'plugin@my\\x2dplugin.service',
      'plugin@A.service',
      'plugin-x.service',
      'plugin@x.socket',
    ]) {
      assert.equal(parseAnchorUnit(odd), undefined, odd);
    }
  });

  it('counts uid ranges inside what systemd leaves to containers', () => {
    assert.equal(uidBaseOf(0), 1073741824);
    assert.equal(uidBaseOf(UID_RANGE_COUNT - 1) + UID_RANGE_SIZE - 1, 0x6fff_ffff);
    for (const index of [0, 1, 77, UID_RANGE_COUNT - 1]) assert.equal(uidRangeIndex(uidBaseOf(index)), index);
    for (const index of [-1, UID_RANGE_COUNT, 0.5, Number.NaN]) assert.throws(() => uidBaseOf(index), RangeError);
    for (const uid of [0, 1073741825, 0x7000_0000]) assert.equal(uidRangeIndex(uid), undefined);
  });
});
