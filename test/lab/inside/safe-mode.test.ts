import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { declare, must, run, status, systemctl, uninstall, until, untilWhole } from '../../support/system.ts';

const COMMAND_LINE = '/tmp/command-line';

async function stateOf(unit: string): Promise<string> {
  return (await must('systemctl', 'show', '--property=ActiveState', '--value', unit)).trim();
}

describe('safe mode', function () {
  this.timeout(180_000);

  beforeEach(() => {
    declare('safe', ['template: native', 'exec: [/usr/bin/sleep, infinity]']);
    declare('other', ['template: native', 'exec: [/usr/bin/sleep, infinity]']);
  });

  afterEach(async () => {
    await run('umount', '/proc/1/cmdline');
    rmSync(COMMAND_LINE, { force: true });
    await must('bulkheadctl', 'safe-mode', 'off');
    await uninstall('safe');
    await uninstall('other');
  });

  it('keeps every plugin from starting, whoever asks, and leaves alone what runs', async () => {
    await systemctl('start', 'plugin@safe');
    const [before] = await untilWhole('safe', 1);
    assert.match(
      await must('bulkheadctl', 'safe-mode', 'on'),
      /^SAFE MODE is on, no plugin starts: turned on by uid 0/,
    );
    await systemctl('start', 'plugin@other');
    assert.equal(await stateOf('plugin@other'), 'inactive');
    const asked = await run('bulkheadctl', 'start', 'other');
    assert.equal(asked.status, 1);
    assert.match(asked.stderr, /BH411 safe mode is on, no plugin starts: 'other': turned on by uid 0/);
    assert.match((await run('bulkheadctl', 'restart', 'safe')).stderr, /BH411/);
    assert.equal((await untilWhole('safe', 1))[0]?.unit, before?.unit);
    assert.match((await run('bulkheadctl', 'status', 'other')).stdout, /^SAFE MODE is on/);
    assert.match(
      (await run('bulkheadctl', 'doctor')).stdout,
      /warning {2}safe mode: on, no plugin starts: turned on by uid 0/,
    );
    assert.match(
      await must('journalctl', '--identifier=bulkheadctl', '--output=cat', '--no-pager', 'BULKHEAD_EVENT=safe-mode'),
      /safe mode is on, no plugin starts: turned on by uid 0/,
    );
    await must('bulkheadctl', 'safe-mode', 'on', '--now');
    assert.equal(await stateOf('plugin@safe'), 'inactive');
    assert.equal((await status('safe')).state, 'stopped');
    await must('bulkheadctl', 'safe-mode', 'off');
    await must('bulkheadctl', 'start', 'other');
    await untilWhole('other', 1);
  });

  it('is on after a boot with the word on the command line, and off when somebody says so', async () => {
    // In a container systemd takes the command line of its first process for that of the kernel.
    writeFileSync(COMMAND_LINE, '/sbin/init\0bulkhead.safe-mode\0');
    await must('mount', '--bind', COMMAND_LINE, '/proc/1/cmdline');
    await systemctl('start', 'plugin@safe');
    assert.equal(await stateOf('plugin@safe'), 'inactive');
    assert.match(await must('bulkheadctl', 'safe-mode'), /'bulkhead\.safe-mode' is on the command line of the kernel/);
    assert.match(await must('bulkheadctl', 'safe-mode', 'off'), /^Safe mode is off/);
    await systemctl('start', '--no-block', 'plugin@safe');
    // With something mounted in /proc no sandbox can have one of its own; the anchor needs none.
    await until('it is let start', async () => (await stateOf('plugin@safe')) === 'activating');
    await must('umount', '/proc/1/cmdline');
    await untilWhole('safe', 1);
  });
});
