/** The Python part of docs/plugin-authors.md, done as it says: its programs are run, and what it shows is what they answer. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { blocks, partOfPage, typed } from '../../support/tutorial.ts';
import { PROJECT } from '../project.ts';

const part = partOfPage(join(PROJECT, 'docs', 'plugin-authors.md'), '## Python\n');
const lines = typed(part);
const ENV = {
  PATH: '/usr/bin:/bin',
  PYTHONPATH: join(PROJECT, 'src', 'rpc', 'python'),
  PYTHONDONTWRITEBYTECODE: '1',
};
/** Client libraries send no descriptors: a peer of the unit tests does. */
const PEERS = join(PROJECT, 'test', 'unit', 'rpc', 'python');
const COPY = `
import os
from test_beside import CarryingPeer, descriptor
peer = CarryingPeer("./greeter.sock")
peer.greet("descriptor")
peer.send_with([os.open("main.py", os.O_RDONLY)], [0, 1, "copy", [descriptor(0)]])
answer = peer.read()
content = os.pread(peer.came[0], 1_000_000, 0)
print(answer[3] == descriptor(0), content == open("main.py", "rb").read() != b"")
`;

describe('the tutorial in Python', function () {
  this.timeout(60_000);
  const programs = blocks(part, 'python');
  let place: string;
  let plugin: ChildProcess | undefined;

  before(() => {
    place = mkdtempSync(join(tmpdir(), 'bulkhead-tutorial-'));
    mkdirSync(join(place, 'greeter'));
  });
  after(() => rmSync(place, { recursive: true, force: true }));
  afterEach(() => plugin?.kill('SIGKILL'));

  /** Runs the text as main.py, as it is said to be run, and waits for its word. */
  async function start(program: string): Promise<string> {
    writeFileSync(join(place, 'greeter', 'main.py'), program);
    const [interpreter = '', ...words] = (lines[0]?.command ?? '').split(' ');
    plugin = spawn(interpreter, words, {
      cwd: join(place, 'greeter'),
      env: { ...ENV, STATE_DIRECTORY: place },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    assert.ok(plugin.stderr !== null);
    const [said] = await once(plugin.stderr, 'data');
    return String(said);
  }

  function call(command: string): string {
    const { stdout, stderr } = spawnSync('sh', ['-c', command], {
      cwd: join(place, 'greeter'),
      env: ENV,
      encoding: 'utf8',
    });
    return stdout + stderr;
  }

  it('has a first program that says and answers what is shown', async () => {
    assert.equal(await start(programs[0] ?? ''), lines[0]?.answer);
    const shown = lines.slice(1).filter(({ command }) => !command.includes('complete'));
    assert.equal(shown.length, 3);
    for (const { command, answer } of shown) assert.equal(call(command), answer, command);
    plugin?.kill('SIGINT');
    assert.deepEqual(await once(plugin as ChildProcess, 'exit'), [0, null]);
  });

  it('has programs that go on from it', async () => {
    const [first = '', errors = '', stream = '', copy = '', main = ''] = programs;
    const all = first.replace('plugin.run()', '').replace('from bulkhead import Plugin\n', '');
    const later = main.replace('await load_the_model()', 'await asyncio.sleep(0)');
    await start(errors.replace('\n@', `\n${all.trim()}\n\n@`) + stream + copy + later);
    const shown = lines.filter(({ command }) => command.includes('complete'));
    assert.equal(shown.length, 1);
    for (const { command, answer } of shown) assert.equal(call(command), answer, command);
    const client = '/usr/bin/python3 -m bulkhead ./greeter.sock';
    assert.equal(call(`${client} divide 1 4; ${client} divide 1 0`), '0.25\ndivision-by-zero: b is 0\n');
    assert.equal(call(`${client} think 0.05`), '"thought"\n');
    assert.equal(call(`PYTHONPATH=$PYTHONPATH:${PEERS} /usr/bin/python3 -c '${COPY}'`), 'True True\n');
  });

  it('has state that is found again', async () => {
    const [checkpoint = '', journal = ''] = programs.slice(5);
    assert.ok(programs.length === 7 && checkpoint.includes('restore') && journal.includes('replay'));
    const indented = (lines: string) => lines.replace(/^(?=.)/gm, '    ');
    const program = `
import asyncio
from bulkhead import Plugin
plugin = Plugin()
async def handle(work, content): raise AssertionError("there is nothing left")
async def main():
${indented(checkpoint)}
${indented(journal)}
    @plugin.method
    async def result(call): return [content.decode(), await state.restore() == content]
    await plugin.serve()
asyncio.run(main())
`;
    await start(program.replaceAll('b"…"', '"…".encode()'));
    assert.equal(call('/usr/bin/python3 -m bulkhead ./greeter.sock result'), '["…", true]\n');
  });

  it('has an example that keeps what it is given', async () => {
    const example = readFileSync(join(PROJECT, 'templates', 'examples', 'call-python', 'main.py'), 'utf8');
    const client = '/usr/bin/python3 -m bulkhead ./greeter.sock';
    await start(example);
    assert.equal(
      call(`${client} add 'of mice'; ${client} add 'and of men'; ${client} find of`),
      '0\n1\n"of mice"\n"and of men"\n2\n',
    );
    assert.match(call(`${client} add 7`), /^bad-params: /);
    plugin?.kill('SIGKILL');
    await once(plugin as ChildProcess, 'exit');
    await start(example);
    assert.equal(call(`${client} count`), '{"of": 2, "mice": 1, "and": 1, "men": 1}\n');
    assert.equal(
      call(`${client} count 0.05; ${client} find men`),
      `{"of": 2, "mice": 1, "and": 1, "men": 1}\n"and of men"\n1\n`,
    );
  });
});
