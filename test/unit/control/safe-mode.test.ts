import assert from 'node:assert/strict';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { FakeManager, status } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

describe('bulkheadctl safe-mode', () => {
  let world: FakeWorld;

  beforeEach(() => {
    world = new FakeWorld(new FakeManager());
  });

  const run = async (...words: string[]): Promise<string> => {
    world.out.text = '';
    world.err.text = '';
    const ended = await runCommandLine(words, VERBS, world);
    return `${ended} ${world.out.text}${world.err.text}`;
  };

  it('turns it on and off, and says how it is', async () => {
    assert.equal(await run('safe-mode'), '0 Safe mode is off.\n');
    assert.equal(await run('safe-mode', 'on'), '0 SAFE MODE is on, no plugin starts: turned on by a test\n');
    assert.deepEqual(world.ran, []);
    assert.equal(await run('safe-mode', '--json'), '0 {\n  "on": true,\n  "reason": "turned on by a test"\n}\n');
    assert.equal(await run('safe-mode', 'off'), '0 Safe mode is off.\n');
    assert.equal(await run('safe-mode', '--json'), '0 {\n  "on": false,\n  "reason": null\n}\n');
  });

  it('stops what runs when it is asked to, and not otherwise', async () => {
    await run('safe-mode', 'on', '--now');
    assert.deepEqual(world.ran, ['systemctl', 'stop', 'plugin@*.service']);
    world.runStatus = 1;
    assert.match(await run('safe-mode', 'on', '--now'), /^1 /);
    assert.match(await run('safe-mode', 'off', '--now'), /^2 .*BH401/);
    assert.match(await run('safe-mode', 'onn'), /^2 .*BH401.*use on or off/);
  });

  it('is told by status, of one plugin and of all', async () => {
    world.supervisor?.statuses.push(status('hello'));
    world.safe = 'turned on by \u001b[31mme';
    for (const words of [['status'], ['status', 'hello']])
      assert.match(await run(...words), /^\d SAFE MODE is on, no plugin starts: turned on by \\x1b\[31mme\n\n/);
    assert.equal(JSON.parse((await run('status', '--json')).slice(2)).safeMode, world.safe);
  });
});
