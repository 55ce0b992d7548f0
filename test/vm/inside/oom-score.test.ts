import assert from 'node:assert/strict';
import { declare, must, systemctl, uninstall, until } from '../../support/system.ts';

/** What a lab may lack: a PID 1 with CAP_SYS_RESOURCE, whose scores last. */
describe('the score for when memory runs out', function () {
  this.timeout(300_000);

  it("cannot be lowered by a payload below the unit's", async () => {
    const tries = [899, 900].map((score) => `echo ${score} > /proc/self/oom_score_adj; cat /proc/self/oom_score_adj`);
    declare('scored', [
      'template: native',
      `exec: [/bin/sh, -c, "cat /proc/self/oom_score_adj; ${tries.join('; ')}; exec sleep 600"]`,
    ]);
    try {
      await systemctl('start', 'plugin@scored');
      const printed = async () =>
        (await must('journalctl', '-o', 'cat', 'SYSLOG_IDENTIFIER=scored')).match(/^\d+$/gm) ?? [];
      await until('all was tried', async () => (await printed()).length === 3, 120_000);
      assert.deepEqual(await printed(), ['1000', '1000', '900']);
    } finally {
      await uninstall('scored');
    }
  });
});
