/** The SDK for JavaScript as it is installed, in sandboxes: what needs its addon there, and what outlasts a crash. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  must,
  readySandboxes,
  run,
  systemctl,
  uninstall,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const EXAMPLE = '/usr/share/doc/bulkhead/examples/call-node';

forEachIsolation('the example call-node', function (isolation) {
  this.timeout(120_000);
  const name = `call-node-${isolation}`;

  before(async () => {
    mkdirSync(`/opt/plugin/${name}`, { recursive: true });
    cpSync(EXAMPLE, `/opt/plugin/${name}/v1`, { recursive: true });
    const lines = readFileSync(`${EXAMPLE}/call-node.yaml`, 'utf8').trim().split('\n');
    declare(name, lines);
    await systemctl('start', `plugin@${name}`);
    await untilWhole(name, 1);
  });
  after(async () => {
    await uninstall(name);
    rmSync(`/var/lib/bulkhead/state/${name}`, { recursive: true, force: true });
  });

  async function call(...words: readonly string[]): Promise<unknown> {
    return JSON.parse(await must('bulkheadctl', 'call', name, ...words)) as unknown;
  }

  it('answers, and in parts', async () => {
    assert.equal(await call('add', 'milk is out'), 0);
    assert.equal(await call('add', 'buy milk'), 1);
    assert.equal(await must('bulkheadctl', 'call', name, 'find', 'milk', '--stream'), '"milk is out"\n"buy milk"\n2\n');
    const { status, stderr } = await run('bulkheadctl', 'call', name, 'add', '7');
    assert.notEqual(status, 0);
    assert.match(stderr, /bad-params/);
  });

  it('has its page of activity as memory, so that it costs a call nothing', async () => {
    const [sandbox] = await readySandboxes(name);
    assert.ok(typeof sandbox?.payloadPid === 'number', JSON.stringify(sandbox));
    const maps = readFileSync(`/proc/${sandbox.payloadPid}/maps`, 'utf8');
    assert.match(maps, /rw-s .*activity/);
  });

  it('finds its notes again when it was killed, and leaves its last words', async () => {
    const [sandbox] = await readySandboxes(name);
    assert.ok(typeof sandbox?.payloadPid === 'number');
    process.kill(sandbox.payloadPid, 'SIGKILL');
    await untilReplaced(name, 1, sandbox.unit);
    assert.deepEqual(await call('count'), { milk: 2, is: 1, out: 1, buy: 1 });
    const why = await must('bulkheadctl', 'why', name);
    const [incident] = /\d{8}T\d{6}\S*/.exec(why) ?? [];
    assert.ok(incident !== undefined, why);
    const shown = await must('bulkheadctl', 'incidents', 'show', incident, '--json');
    assert.match(shown, /note 1 was added/);
  });

  it('ends when it is told to', async () => {
    const [sandbox] = await readySandboxes(name);
    await systemctl('stop', `plugin@${name}`);
    const journal = await must('journalctl', '-u', 'bulkheadd', '-o', 'cat', '--no-pager', '-n', '200');
    assert.match(journal, new RegExp(`'${(sandbox?.unit ?? '').replaceAll('\\', '\\\\')}': exit status 0`));
  });
});
