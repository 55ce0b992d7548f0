/** The Python SDK where it is meant for: in a sandbox, installed by the package, with the Python that is there. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IncidentReport, IncidentSummary } from '../../../src/control/incident-api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  must,
  readySandboxes,
  run,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { blocks, partOf, partOfPage } from '../../support/tutorial.ts';

const NAME = 'greeter';
const part = partOfPage('/usr/share/doc/bulkhead/plugin-authors.md', '## Python\n');
const sandboxes = partOf(part, '### In sandboxes');

/** The first block of that language, or the one after so many. */
function block(text: string, language: string, index = 0): string {
  return blocks(text, language)[index] ?? '';
}

/** Beside the tutorial's method, ways to fail, and state. */
const MORE = `
import asyncio, os, time

state = plugin.checkpoint("state", schema=1)

@plugin.method
async def die(call):
    call.note("about to die")
    os.abort()

@plugin.method
async def stand_still(call):
    time.sleep(600)

@plugin.method
async def keep(call, text):
    await state.save(text.encode())
    await plugin.journal().accept(text.encode())

@plugin.method
async def kept(call):
    pieces = []
    await plugin.journal().replay(lambda work, content: pieces.append(content.decode()))
    return [(await state.restore()).decode(), pieces]

plugin.run()
`;

async function call(method: string, ...parameters: readonly string[]): Promise<string> {
  const { stdout, stderr } = await run('/usr/bin/python3', '-m', 'bulkhead', NAME, method, ...parameters);
  return stdout + stderr;
}

/** The newest incident, when all of its evidence is there. */
async function incident(): Promise<IncidentReport> {
  let report: IncidentReport | undefined;
  await until('an incident with its flight records', async () => {
    const all = JSON.parse(await must('bulkheadctl', 'incidents', 'list', NAME, '--json')) as IncidentSummary[];
    const id = all
      .map((each) => each.id)
      .sort((one, other) => one.localeCompare(other, 'en', { numeric: true }))
      .at(-1);
    if (id === undefined) return false;
    report = JSON.parse(await must('bulkheadctl', 'incidents', 'show', id, '--json')) as IncidentReport;
    return report.flight !== null;
  });
  assert.ok(report !== undefined);
  return report;
}

forEachIsolation('the Python SDK', function () {
  this.timeout(240_000);
  let place: string;

  before(() => {
    place = mkdtempSync(join(tmpdir(), 'bulkhead-greeter-'));
  });
  after(() => rmSync(place, { recursive: true, force: true }));
  afterEach(() => uninstall(NAME));

  /** As the tutorial has it, typed by root. */
  async function type(commands: string): Promise<string> {
    return await must('bash', '-c', `set -e; cd ${place}; ${commands.replaceAll('sudo ', '')}`);
  }

  async function start(program: string, more: readonly string[] = []): Promise<void> {
    writeFileSync(join(place, 'main.py'), program);
    const keys = more.map((line) => line.slice(0, line.indexOf(':')));
    const lines = block(sandboxes, 'yaml').trim().split('\n');
    const kept = lines.filter((line) => !keys.includes(line.slice(0, line.indexOf(':'))));
    declare(NAME, [...kept, 'upgrade: { canary: [], bake: 1s }', ...more]);
    assert.match(await type(block(sandboxes, '')), /"hello world"/);
  }

  it('was compiled by the package, so that no sandbox has to do it at each start', async () => {
    // -B: this look itself compiles nothing.
    const look =
      'import bulkhead.server as s, os; print(os.path.getmtime(s.__cached__) >= os.path.getmtime(s.__file__))';
    assert.equal(await must('/usr/bin/python3', '-B', '-c', look), 'True\n');
  });

  it('does what its tutorial says, and the next version what it says', async () => {
    const program = block(part, 'python');
    await start(program);
    writeFileSync(join(place, 'main.py'), program.replace('hello', 'good day'));
    await type(block(sandboxes, '', 1));
    assert.equal(await call('greet', 'world'), '"good day world"\n');
  });

  describe('with more than the tutorial has', () => {
    const program = `${block(part, 'python').replace('plugin.run()', '')}${MORE}`;

    it('has last words: the call in its hands, and what was noted', async () => {
      await start(program);
      const [first] = await untilWhole(NAME, 1);
      assert.ok(first !== undefined);
      assert.match(await call('die'), /closed the connection without an answer/);
      await untilReplaced(NAME, 1, first.unit);
      const { flight } = await incident();
      assert.deepEqual(
        flight?.inFlight.map(({ method }) => method),
        ['die'],
      );
      const told = flight?.records.map(({ kind, text }) => `${kind} ${text}`) ?? [];
      assert.deepEqual(told, ['began greet', 'ended-well greet', 'began die', 'note about to die']);
      assert.equal(await call('greet', 'again'), '"hello again"\n');
    });

    it('is replaced when its loop stands still', async () => {
      await start(program, ['health: { ready: notify, liveness: { notify: true, every: 1s, misses: 3 } }']);
      const [first] = await untilWhole(NAME, 1);
      assert.ok(first !== undefined);
      const asked = call('stand_still');
      await untilReplaced(NAME, 1, first.unit);
      assert.match(await asked, /closed the connection without an answer/);
      assert.equal(await call('greet', 'again'), '"hello again"\n');
    });

    it('finds its state and the work that was left in the next sandbox', async () => {
      await start(program, ['state: { path: /var/lib/plugin }']);
      assert.equal(await call('keep', 'this'), '');
      const [first] = await readySandboxes(NAME);
      assert.ok(first?.payloadPid);
      process.kill(first.payloadPid, 'SIGKILL');
      await untilReplaced(NAME, 1, first.unit);
      assert.equal(await call('kept'), '["this", ["this"]]\n');
      assert.equal(await call('kept'), '["this", []]\n');
    });
  });
});
