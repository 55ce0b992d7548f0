/** The C part of docs/plugin-authors.md, done as it says: its programs are compiled and run, and what it shows is what they answer. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blocks, partOfPage, typed } from '../support/tutorial.ts';
import { checkout, program, scratch } from './native-programs.ts';

const part = partOfPage(join(checkout, 'docs', 'plugin-authors.md'), '## C\n');
const ENV = {
  PATH: '/usr/bin:/bin',
  PYTHONPATH: join(checkout, 'src', 'rpc', 'python'),
  PYTHONDONTWRITEBYTECODE: '1',
};

describe('the tutorial in C', function () {
  this.timeout(60_000);
  const [first = '', threads = '', stream = ''] = blocks(part, 'c');
  const [copy, compile, run, ...calls] = typed(part);
  let place: ReturnType<typeof scratch>;
  let directory: string;
  let plugin: ChildProcess | undefined;

  before(() => {
    place = scratch();
    directory = join(place.path, 'adder');
    mkdirSync(directory);
    execFileSync(join(checkout, 'native', 'build'), [], { stdio: ['ignore', 'ignore', 'inherit'] });
  });
  after(() => place.remove());
  afterEach(() => plugin?.kill('SIGKILL'));

  function shell(command: string): string {
    const { stdout, stderr } = spawnSync('sh', ['-c', command], { cwd: directory, env: ENV, encoding: 'utf8' });
    return stdout + stderr;
  }

  /** Compiles the text as main.c, as it is said to be compiled, and waits for the word of what runs. */
  async function start(source: string): Promise<string> {
    writeFileSync(join(directory, 'main.c'), source);
    const installed = (copy?.command ?? '').replace('/usr/share/bulkhead/sdk/c', program('sdk'));
    assert.equal(shell(installed), '');
    assert.equal(shell(compile?.command ?? ''), '');
    const env = { ...ENV, STATE_DIRECTORY: directory };
    plugin = spawn(run?.command ?? '', { cwd: directory, env, stdio: ['ignore', 'ignore', 'pipe'] });
    assert.ok(plugin.stderr !== null);
    const [said] = await once(plugin.stderr, 'data');
    return String(said);
  }

  it('has a first program that compiles, and says and answers what is shown', async () => {
    assert.equal(await start(first), run?.answer);
    const shown = calls.filter(({ command }) => command.includes(' add '));
    assert.equal(shown.length, 2);
    for (const { command, answer } of shown) assert.equal(shell(command), answer, command);
    plugin?.kill('SIGINT');
    assert.deepEqual(await once(plugin as ChildProcess, 'exit'), [0, null]);
  });

  it('has programs that go on from it', async () => {
    const added = 'bulkhead_thread_method(plugin, "think", think, NULL);';
    const streams = /`(bulkhead_thread_stream\([^`]*\))`:/.exec(part)?.[1];
    const all = first.replace('int main', `${threads}\n${stream}\nint main`);
    await start(all.replace('  return bulkhead_run', `  ${added}\n  ${streams};\n  return bulkhead_run`));
    const shown = calls.filter(({ command }) => command.includes(' spell '));
    assert.equal(shown.length, 1);
    for (const { command, answer } of shown) assert.equal(shell(command), answer, command);
    assert.equal(shell('/usr/bin/python3 -m bulkhead ./adder.sock think 30'), '"thought"\n');
  });

  it('has an example that keeps what it was told', async () => {
    const source = readFileSync(join(checkout, 'templates', 'examples', 'call-c', 'main.c'), 'utf8');
    const client = '/usr/bin/python3 -m bulkhead ./adder.sock';
    await start(source);
    assert.equal(shell(`${client} add "one two"; ${client} add "two three"; ${client} count 20`), '0\n1\n4\n');
    plugin?.kill('SIGKILL');
    await start(source);
    assert.equal(shell(`${client} find TWO; ${client} find four`), '"one two"\n"two three"\n2\n0\n');
  });
});
