/** A payload that wants to be taken for something else, by whoever looks at it. */
import assert from 'node:assert/strict';
import { must, type Ran, run, status, systemctl, until } from '../support/system.ts';
import { Hostile } from './hostile.ts';
import { KINDS } from './kind.ts';
import { type Scene, setScene } from './scene.ts';

const ESCAPES = '\\x1b[2J\\x1b]0;owned\\x07\\x0d';

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const ORDERS = /[\u0000-\u0008\u000b-\u001f\u007f]/;

function assertPlain({ stdout, stderr }: Ran): void {
  assert.doesNotMatch(`${stdout}${stderr}`, ORDERS);
}

for (const kind of KINDS) {
  describe(`a payload of kind ${kind} that wants to confuse`, function () {
    this.timeout(180_000);
    let scene: Scene;
    let hostile: Hostile;

    before(async () => {
      scene = await setScene(kind, ['health: { ready: notify }']);
      hostile = await Hostile.at(scene.socket);
    });

    after(async () => {
      hostile?.close();
      await scene?.end();
    });

    async function gives(...step: readonly (string | number)[]): Promise<void> {
      const outcome = await hostile.try(step);
      assert.deepEqual(
        [outcome.kind, outcome.kind === 'gave' ? outcome.error : ''],
        ['gave', 'ok'],
        JSON.stringify(step),
      );
    }

    it('by its name and its arguments, is shown without orders for a terminal, and audited all the same', async () => {
      await gives('rename-self', `${ESCAPES}) S 1 (`);
      await gives('title', `/sbin/init\\x00${ESCAPES}`);
      for (const verb of ['status', 'events', 'audit', 'plan'])
        assertPlain(await run('bulkheadctl', verb, scene.plugin));
      assert.equal((await run('bulkheadctl', 'audit', scene.plugin)).status, 0);
    });

    it('by lines in the journal, is shown as who it is', async () => {
      await gives('print', `<0>bulkheadd[1]: 'neighbour': failed${ESCAPES}`);
      await gives('print-flood', 2000, `{"event":"exit","how":"exited","status":0}`);
      await must('journalctl', '--sync');
      assertPlain(await run('bulkheadctl', 'logs', scene.plugin));
      const text = await must('journalctl', '-o', 'json', '-n', '5', `SYSLOG_IDENTIFIER=${scene.plugin}`);
      const units = text
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as Record<string, string>)._SYSTEMD_UNIT);
      const { unit } = await scene.own();
      assert.deepEqual([...new Set(units)], [unit]);
    });

    it('by notifications, changes nothing but its status', async () => {
      const { unit, payloadPid } = await scene.own();
      const before = await systemctl('show', '-p', 'MainPID,NFileDescriptorStore,ActiveState,SubState', unit);
      for (const word of [
        'MAINPID=1',
        'FDSTORE=1\\x0aFDNAME=x',
        'STOPPING=1',
        'RELOADING=1',
        'ERRNO=5',
        'WATCHDOG=trigger',
      ])
        await gives('notify', '-', word, 1);
      await gives('notify', '-', `STATUS=${ESCAPES}`);
      await until('the status is told', async () => /owned/.test(JSON.stringify(await status(scene.plugin))));
      await gives('notify-flood', '-', 5000, 100);
      await gives('notify-flood', '-', 5, 60_000);
      for (const verb of ['status', 'events']) assertPlain(await run('bulkheadctl', verb, scene.plugin));
      assert.equal(await systemctl('show', '-p', 'MainPID,NFileDescriptorStore,ActiveState,SubState', unit), before);
      assert.equal((await scene.own()).payloadPid, payloadPid);
    });
  });
}
