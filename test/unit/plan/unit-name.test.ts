import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { escapeUnitName, unescapeUnitName } from '../../../src/plan/unit-name.ts';

/** What systemd-escape(1) itself makes of these texts. It reads no options after '--', and no empty text. */
function bySystemd(texts: readonly string[]): string[] {
  return execFileSync('systemd-escape', ['--', ...texts], { encoding: 'utf8' })
    .trim()
    .split(' ');
}

describe('unit-name', () => {
  it('escapes as systemd does', () => {
    assert.equal(escapeUnitName('my-plugin.x_y'), 'my\\x2dplugin.x_y');
    assert.equal(escapeUnitName('.hidden/ä b'), '\\x2ehidden-\\xc3\\xa4\\x20b');
    assert.equal(escapeUnitName(''), '');
  });

  it('agrees with systemd-escape for any text', () => {
    const text = fc
      .oneof(fc.string({ unit: 'grapheme' }), fc.stringMatching(/^[a-z0-9._/-]{1,20}$/))
      .filter((word) => word !== '' && !word.includes('\0'));
    const texts = fc.sample(text, { numRuns: 300, seed: 7 });
    assert.deepEqual(texts.map(escapeUnitName), bySystemd(texts));
  });

  it('takes back what it escaped', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        assert.equal(unescapeUnitName(escapeUnitName(text)), text);
      }),
    );
  });

  it('refuses what it would not make', () => {
    for (const odd of ['\\x2', '\\', '\\x2D', 'a b', 'ä', '\\xff']) assert.equal(unescapeUnitName(odd), undefined, odd);
  });
});
