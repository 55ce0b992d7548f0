/** The JavaScript part of docs/plugin-authors.md, done as it says, with the module as the package brings it. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { blocks, partOfPage, typed } from '../../support/tutorial.ts';
import { PROJECT } from '../project.ts';

const INSTALLED = '/usr/lib/node_modules/bulkhead';
const CTL = join(PROJECT, 'build', 'js', 'src', 'bulkheadctl.js');
const part = partOfPage(join(PROJECT, 'docs', 'plugin-authors.md'), '## JavaScript');
const lines = typed(part);
const ENV = { PATH: process.env.PATH, BULKHEAD_ADDON: join(PROJECT, 'build', 'native', 'bulkhead.node') };

describe('the tutorial in JavaScript', function () {
  this.timeout(120_000);
  const programs = blocks(part, 'js');
  let place: string;
  let built: string;
  let plugin: ChildProcess | undefined;

  before(async () => {
    place = mkdtempSync(join(tmpdir(), 'bulkhead-tutorial-'));
    mkdirSync(join(place, 'greeter'));
    built = join(place, 'module');
    await build({
      entryPoints: { plugin: join(PROJECT, 'src', 'rpc', 'plugin', 'index.ts') },
      outdir: built,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'warning',
    });
  });
  after(() => rmSync(place, { recursive: true, force: true }));
  afterEach(() => plugin?.kill('SIGKILL'));

  /** The text with the paths of an installed package, and its program, as they are here. */
  function here(text: string): string {
    return text
      .replaceAll(`${INSTALLED}/plugin.js`, `${built}/plugin.mjs`)
      .replaceAll('bulkheadctl', `${process.execPath} ${CTL}`);
  }

  async function start(program: string): Promise<string> {
    writeFileSync(join(place, 'greeter', 'main.mjs'), here(program));
    const [command] = lines;
    assert.equal(command?.command, 'node main.mjs');
    plugin = spawn(process.execPath, ['main.mjs'], {
      cwd: join(place, 'greeter'),
      env: { ...ENV, STATE_DIRECTORY: place },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    assert.ok(plugin.stderr !== null);
    const [said] = await once(plugin.stderr, 'data');
    return String(said);
  }

  function call(command: string): string {
    const options = { cwd: join(place, 'greeter'), env: ENV, encoding: 'utf8' } as const;
    const { stdout, stderr } = spawnSync('sh', ['-c', here(command)], options);
    return stdout + stderr;
  }

  const CALL = 'bulkheadctl call ./greeter.sock';

  it('has a first program that says and answers what is shown', async () => {
    assert.equal(await start(programs[0] ?? ''), lines[0]?.answer);
    assert.equal(lines.length, 3);
    for (const { command, answer } of lines.slice(1)) assert.equal(call(command), answer, command);
    plugin?.kill('SIGINT');
    assert.deepEqual(await once(plugin as ChildProcess, 'exit'), [0, null]);
  });

  it('has programs that go on from it', async () => {
    const [first = '', errors = '', stream = ''] = programs;
    const [serve] = first.match(/^await plugin\.serve\(\);\n/m) ?? [];
    const imported = errors.match(/^import .*\n/m)?.[0] ?? '';
    const methods = first.replace(/^import .*\n/m, '').replace(String(serve), '') + errors.replace(imported, '');
    await start(imported + methods + stream + serve);
    assert.match(call(`${CALL} divide 1 4; ${CALL} divide 1 0`), /^0\.25\n.*division-by-zero: b is 0/);
    assert.equal(call(`${CALL} think 0.05`), '"thought"\n');
    assert.equal(call(`${CALL} --stream complete 'as it comes'`), '"as"\n"it"\n"comes"\n"stop"\n');
  });

  it('has state that is found again', async () => {
    const [first = '', , , state = ''] = programs;
    assert.equal(programs.length, 4);
    const asked = state.replace('async (id, content) => {}', "() => { throw new Error('there is nothing left'); }");
    const result = "plugin.method('result', async () => [String(content), (await state.find()).schema]);\n";
    await start(first.replace('await plugin.serve', `${asked}${result}await plugin.serve`));
    assert.equal(call(`${CALL} result`), '[\n  "…",\n  1\n]\n');
  });
});
