import assert from 'node:assert/strict';
import { type Accepted, EXPOSURES } from '../../support/exposures.ts';
import { installExample, must, systemctl, uninstall, untilWhole } from '../../support/system.ts';

/** One setting as systemd-analyze(1) security --json tells it; `set` is false where it counts against the unit. */
interface Judged {
  readonly name: string;
  readonly set: boolean | null;
}

/** What systemd says of our units' settings, compared with what we know and have explained. */
describe('systemd-analyze security', function () {
  this.timeout(180_000);
  const name = `exposure-${Date.now().toString(36)}`;
  let sandbox = '';
  before(async () => {
    installExample(name, 'python', ['template: python', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9161 }]']);
    await systemctl('start', `plugin@${name}`);
    sandbox = (await untilWhole(name, 1))[0]?.unit ?? '';
  });
  after(() => uninstall(name));

  const isAccepted =
    (setting: string) =>
    ({ settings }: Accepted): boolean =>
      settings.some((one) => (one.endsWith('=*') ? setting.startsWith(one.slice(0, -1)) : setting === one));

  for (const [what, unit] of [
    ['supervisor', () => 'bulkheadd.service'],
    ['anchor', () => `plugin@${name}.service`],
    ['spawner', () => 'bulkhead-spawner.service'],
    ['node', () => 'bulkhead-node.service'],
    ['check', () => 'bulkhead-check@x.service'],
    ['sandbox', () => sandbox],
  ] as const) {
    const { most, accepted } = EXPOSURES[what];
    it(`finds the ${what} exposed by ${most} at most, by nothing that is not explained`, async () => {
      const text = await must('systemd-analyze', 'security', '--no-pager', unit());
      const level = Number(/Overall exposure level for \S+: (\d+\.\d)/.exec(text)?.[1]);
      assert.ok(level <= most, `${level} is more than ${most}`);
      const judged = JSON.parse(await must('systemd-analyze', 'security', '--json=short', unit())) as Judged[];
      const against = judged.filter(({ set }) => set === false).map((one) => one.name);
      assert.ok(against.length > 0);
      assert.deepEqual(
        against.filter((setting) => !accepted.some(isAccepted(setting))),
        [],
        'not explained',
      );
      const explained = accepted.flatMap(({ settings }) => settings);
      assert.deepEqual(
        explained.filter((one) => !against.some((setting) => isAccepted(setting)({ settings: [one], why: '' }))),
        [],
        'explained, and not there any more',
      );
    });
  }
});
