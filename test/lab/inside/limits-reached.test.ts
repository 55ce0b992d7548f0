import assert from 'node:assert/strict';
import type { LimitReached } from '../../../src/control/api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  installExample,
  installHostile,
  killSupervisor,
  must,
  status,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'greedy';
/** Where the directories of plugins are that last. */
const STATE = '/var/lib/bulkhead/state';

forEachIsolation('a limit that is reached is told of', function (isolation) {
  this.timeout(180_000);

  afterEach(() => uninstall(NAME));

  async function reached(limit: string): Promise<LimitReached> {
    let found: LimitReached | undefined;
    await until(`'${limit}' is reached`, async () => {
      const all = (await status(NAME)).sandboxes.flatMap(({ limitsReached }) => limitsReached);
      found = all.find((each) => each.limit === limit);
      return found !== undefined;
    });
    assert.ok(found !== undefined);
    return found;
  }

  /** The journal's entries about this limit. */
  async function noted(limit: string): Promise<string[]> {
    const text = await must('journalctl', '-o', 'cat', `BULKHEAD_PLUGIN=${NAME}`, `BULKHEAD_LIMIT=${limit}`);
    return text.split('\n').filter((line) => line !== '');
  }

  it('open files, in status, events and journal, and once only', async () => {
    installHostile(NAME, 'descriptor-hog', ['template: [native, untrusted]', 'version: v1']);
    await systemctl('start', `plugin@${NAME}`);
    const before = (await noted('files')).length;
    assert.equal((await reached('files')).text, 'files 128 (128 open in one process)');
    assert.match(
      await must('bulkheadctl', 'status', NAME),
      /Reached: files 128 \(128 open in one process\), .* ago by greedy-a-g/,
    );
    assert.match(await must('bulkheadctl', 'events', NAME), /limit: limit reached: files 128/);
    await killSupervisor();
    await untilWhole(NAME, 1);
    const lines = await noted('files');
    assert.equal(lines.length - before, 1, lines.join('\n'));
  });

  it('temporary files', async () => {
    const exec = 'exec: [./main, /tmp, /dev/shm]';
    installHostile(NAME, 'disk-filler', ['template: [native, untrusted]', 'version: v1', exec, 'view: { tmp: 1M }']);
    await systemctl('start', `plugin@${NAME}`);
    assert.match((await reached('tmp')).text, /^tmp 1M \((?:\/tmp|\/dev\/shm|\/tmp, \/dev\/shm) full\)$/);
    assert.match((await noted('tmp')).join('\n'), /limit reached: tmp 1M/);
  });

  it('the directory that lasts, here on a file system that is small itself', async () => {
    await must('mkdir', '-p', STATE);
    await must('mount', '-t', 'tmpfs', '-o', 'size=2M', 'tmpfs', STATE);
    try {
      const more = ['exec: [./main, /data]', 'state: { path: /data }'];
      installHostile(NAME, 'disk-filler', ['template: [native, untrusted]', 'version: v1', ...more]);
      await systemctl('start', `plugin@${NAME}`);
      assert.equal((await reached('state')).text, 'state infinity (/data full)');
      await uninstall(NAME);
    } finally {
      await must('umount', '--lazy', STATE);
    }
  });

  // Scopes have journald's own limit, at which this would be a flood for the machine.
  const onlyService = isolation === 'nspawn' ? it : undefined;
  onlyService?.('messages to the journal, which drops them', async () => {
    const limits = 'limits: { log: { messages: 50, within: 1s } }';
    installHostile(NAME, 'log-flood', ['template: [native, untrusted]', 'version: v1', limits]);
    await systemctl('start', `plugin@${NAME}`);
    const { text, count } = await reached('log');
    assert.match(text, /^log 50 in 1s \(\d+ messages dropped\)$/);
    assert.ok(count > 100, text);
    const kept = await must('journalctl', '-o', 'cat', '-u', `plugin-${NAME}-*`, '--no-pager', '-n', '100000');
    const lines = kept.split('\n').filter((line) => line.startsWith('nobody wants')).length;
    assert.ok(lines < count, `${lines} lines kept, ${count} dropped`);
  });

  it('not when somebody killed the payload: that is a SIGKILL', async () => {
    installExample(NAME, 'python', ['template: [python, http]', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9142 }]']);
    await systemctl('start', `plugin@${NAME}`);
    const [first] = await untilWhole(NAME, 2);
    assert.match(await must('curl', '-sS', 'http://127.0.0.1:9142/'), /hello/);
    process.kill(first?.payloadPid ?? 0, 'SIGKILL');
    await untilReplaced(NAME, 2, first?.unit ?? '');
    assert.match(await must('bulkheadctl', 'events', NAME), /died \(crash\): killed by SIGKILL/);
    assert.deepEqual(await noted('memory'), []);
  });
});
