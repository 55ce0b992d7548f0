import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LearnReport } from '../../../src/control/api.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { FakeManager, status } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

const REPORT: LearnReport = {
  plugin: 'hello',
  unit: 'plugin-hello-a-g2.service',
  seconds: 30,
  ended: null,
  filter: 'python',
  calls: 2,
  served: true,
  lines: 160,
  proposed: ['read', 'socket family=AF_UNIX'],
  unused: ['fork'],
  missing: ['personality'],
  refused: ['mount'],
  list: '# head\n\nread  # files\n',
};

describe('bulkheadctl learn', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-learn-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  async function learn(line: string, learned: LearnReport | null = REPORT) {
    const manager = new FakeManager();
    manager.statuses = [status('hello')];
    manager.learned = learned ?? undefined;
    const world = new FakeWorld(manager);
    const exit = await runCommandLine(line.split(' '), VERBS, world);
    return { exit, out: world.out.text, err: world.err.text, asked: manager.controlled };
  }

  it('asks for 30 s, or as long as is said, and tells the difference and the list', async () => {
    const { exit, out, asked } = await learn('learn hello');
    assert.equal(exit, 0);
    assert.deepEqual(asked, ['learn hello 30']);
    assert.match(out, /^hello: 2 different calls within 30 s$/m);
    assert.doesNotMatch(out, /accepted no connection/);
    assert.match((await learn('learn hello', { ...REPORT, served: false })).out, /^It accepted no connection: /m);
    assert.match(out, /^Not allowed by 'python', and called:\n {2}personality$/m);
    assert.match(out, /^Refused while learning, for no profile allows them:\n {2}mount$/m);
    assert.match(out, /^Allowed by 'python', and not called:\n {2}fork$/m);
    assert.match(out, /^Proposed: 2 lines instead of 160\n {2}# head\n\n {2}read {2}# files$/m);
    assert.deepEqual((await learn('learn hello --for 2min')).asked, ['learn hello 120']);
    assert.match(
      (await learn('learn hello', { ...REPORT, ended: 'exit status 3\u001b' })).out,
      /before: exit status 3\S+$/m,
    );
  });

  it('writes the list into a new file, and never over another one', async () => {
    const file = join(directory, 'hello.list');
    const { exit, out } = await learn(`learn hello --output ${file}`);
    assert.equal(exit, 0);
    assert.ok(out.endsWith(`Written to ${file}\n`));
    assert.equal(readFileSync(file, 'utf8'), REPORT.list);
    const again = await learn(`learn hello -o ${file}`);
    assert.equal(again.exit, 1);
    assert.match(again.err, /cannot be written: EEXIST/);
  });

  it('prints the report as JSON', async () => {
    assert.deepEqual(JSON.parse((await learn('learn hello --json')).out), REPORT);
  });

  it('refuses times that nobody waits for, and says why nothing can be learned', async () => {
    for (const time of ['0s', '500ms', '11min', 'x', '-1'])
      assert.equal((await learn(`learn hello --for=${time}`)).exit, 2, time);
    assert.equal((await learn('learn hello --for')).exit, 2);
    assert.equal((await learn('learn nobody')).exit, 4);
    const { exit, err } = await learn('learn hello', null);
    assert.equal(exit, 1);
    assert.match(err, /BH312 the plugin cannot be learned from: 'hello' does not run/);
  });
});
