/** The cases of test/cases/broken, installed on a real machine: what is wrong is said, and nobody else is disturbed. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { HttpLoad } from '../../support/load.ts';
import type { Ran } from '../../support/system.ts';
import {
  installExample,
  must,
  pidsOf,
  procStatus,
  run,
  sandboxUnits,
  status,
  supervisorPid,
  systemctl,
  uninstall,
  untilWhole,
} from '../../support/system.ts';

const CASES = fileURLToPath(new URL('../../../../../test/cases', import.meta.url));
const PLUGINS = '/etc/bulkhead/plugins';
const TEMPLATES = '/etc/bulkhead/templates';
const SHIPPED_TEMPLATES = '/usr/lib/bulkhead/templates';
const PORT = 9151;
/** The supervisor's memory (KiB) swings below this however often it reads all of them; a leak goes on. */
const MOST_KB = 192 * 1024;
/** What is not the same here: another set of profiles; and systemd itself refuses a unit without any section. */
const NOT_HERE = ['host-no-profile', 'unit-no-section'];

interface Case {
  readonly name: string;
  /** Where it is installed. */
  readonly path: string;
  /** Lines of `bulkheadctl check`. */
  readonly problems: readonly string[];
  readonly dropIns: readonly string[];
  /** Versions, with what they say themselves. */
  readonly versions: readonly { readonly version: string; readonly file: string }[];
}

/** The lines `## WORD REST` of a case. */
function directives(text: string): { word: string; rest: string }[] {
  return [...text.matchAll(/^## ?(\S+) ?(.*)$/gm)].map(([, word = '', rest = '']) => ({ word, rest }));
}

/** All cases that can be the same on every machine: none that needs facts of the host, or a name of its own. */
function readCases(): Case[] {
  return readdirSync(`${CASES}/broken`)
    .sort()
    .flatMap((file) => {
      const name = file.replace(/\.\w+$/, '');
      const all = directives(readFileSync(`${CASES}/broken/${file}`, 'utf8'));
      const madeUp = all.some(
        ({ word, rest }) => /^(name$|upgraded-to$|host-)/.test(word) || / on this node/.test(rest),
      );
      if (madeUp || NOT_HERE.includes(name) || !/\.(yaml|conf)$/.test(file)) return [];
      const path = file.endsWith('.yaml')
        ? `${PLUGINS}/${file}`
        : `/etc/systemd/system/plugin@${name}.service.d/${file}`;
      const dropIns = all.filter(({ word }) => word === 'with').map(({ rest }) => rest);
      const versions = all
        .filter(({ word }) => word === 'brings')
        .map(({ rest }) => rest.split(' '))
        .map(([version = '', said = '']) => ({ version, file: said }));
      const problems = all
        .filter(({ word }) => word === 'expect-problem')
        .map(({ rest }) => installed(rest, file, name, path))
        .map((problem) =>
          versions.reduce((text, each) => text.replaceAll(each.file, versionFile(name, each.version)), problem),
        );
      return [{ name, path, problems, dropIns, versions }];
    });
}

/** An expected problem, with the paths that files have when they are installed. */
function installed(problem: string, file: string, name: string, path: string): string {
  return problem
    .replace(/^(\d+:\d+) /, `broken/${file}:$1 `)
    .replace(/^(\S+:\d+:\d+) /, '$1: ')
    .replaceAll(`broken/${file}`, path)
    .replaceAll(/\(the other one is at (?=\d+:)/g, `(the other one is at ${path}:`)
    .replaceAll(/\bdrop-ins\/(\S+?\.yaml)/g, `${PLUGINS}/${name}.yaml.d/$1`)
    .replaceAll(
      /(?<!\/)\btemplates\/(\S+?\.yaml)/g,
      (_, template: string) =>
        `${existsSync(`${CASES}/templates/${template}`) ? TEMPLATES : SHIPPED_TEMPLATES}/${template}`,
    );
}

function versionFile(name: string, version: string): string {
  return `/opt/plugin/${name}/${version}/plugin.yaml`;
}

function install({ name, path, dropIns, versions }: Case): void {
  mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true });
  copyFileSync(`${CASES}/broken/${path.slice(path.lastIndexOf('/') + 1)}`, path);
  mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true });
  for (const { version, file } of versions) {
    mkdirSync(`/opt/plugin/${name}/${version}`, { recursive: true });
    copyFileSync(`${CASES}/${file}`, versionFile(name, version));
  }
  for (const dropIn of dropIns) {
    mkdirSync(`${PLUGINS}/${name}.yaml.d`, { recursive: true });
    copyFileSync(`${CASES}/${dropIn}`, `${PLUGINS}/${name}.yaml.d/${dropIn.replace('drop-ins/', '')}`);
  }
}

function remove({ name, path }: Case): void {
  rmSync(`/opt/plugin/${name}`, { recursive: true, force: true });
  rmSync(path, { force: true });
  rmSync(`${PLUGINS}/${name}.yaml.d`, { recursive: true, force: true });
  rmSync(`/etc/systemd/system/plugin@${name}.service.d`, { recursive: true, force: true });
}

/** The work on all of them, a few at a time. */
async function forEach<Item, Result>(items: readonly Item[], work: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  for (let begin = 0; begin < items.length; begin += 4)
    results.push(...(await Promise.all(items.slice(begin, begin + 4).map(work))));
  return results;
}

describe('broken declarations', function () {
  this.timeout(180_000);
  const cases = readCases();
  const templates = readdirSync(`${CASES}/templates`);
  const healthy = 'steady-beside';
  const shown = new Map<string, string>();
  const checked = new Map<string, Ran>();
  let load: HttpLoad;
  let started: Ran;
  let calm: { readonly pids: readonly number[]; readonly supervisor: number };

  const memoryKb = (pid: number) => Number.parseInt(procStatus(pid, 'VmRSS'), 10);

  before(async function () {
    // A process for each of more than a hundred cases, and the processor may be somebody else's.
    this.timeout(300_000);
    installExample(healthy, 'python', [
      'template: python',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      'pool: { size: 2 }',
    ]);
    await systemctl('start', `plugin@${healthy}`);
    const supervisor = await supervisorPid();
    calm = { pids: pidsOf(await untilWhole(healthy, 2)), supervisor };
    load = new HttpLoad({ target: { host: '127.0.0.1', port: PORT }, connections: 4, keepAlive: false, thinkMs: 2 });
    await load.more(20);
    mkdirSync(TEMPLATES, { recursive: true });
    for (const template of templates) copyFileSync(`${CASES}/templates/${template}`, `${TEMPLATES}/${template}`);
    for (const one of cases) install(one);
    await systemctl('daemon-reload');
    // All at once: the supervisor gets to read them while it answers others.
    started = await run('systemctl', 'start', ...cases.map(({ name }) => `plugin@${name}`));
    await forEach(cases, async ({ name }) => {
      shown.set(name, (await run('systemctl', 'status', '-l', '--no-pager', `plugin@${name}`)).stdout);
      checked.set(name, await run('bulkheadctl', 'check', name));
    });
  });

  after(async () => {
    await load.stop();
    for (const one of cases) remove(one);
    for (const template of templates) rmSync(`${TEMPLATES}/${template}`);
    await run('systemctl', 'reset-failed', ...cases.map(({ name }) => `plugin@${name}`));
    await systemctl('daemon-reload');
    await uninstall(healthy);
  });

  it('are at least forty', () => assert.ok(cases.length >= 40, `only ${cases.length}`));

  for (const { name, problems } of cases) {
    it(`${name}: the start fails, and what is wrong is said to the point`, async () => {
      const { stdout, stderr, status: exit } = checked.get(name) ?? { stdout: '', stderr: '', status: -1 };
      assert.deepEqual({ lines: stdout.trimEnd().split('\n'), stderr, exit }, { lines: problems, stderr: '', exit: 1 });
      assert.deepEqual(await sandboxUnits(name), []);
      assert.equal(started.status, 1);
      assert.ok(started.stderr.includes(`Job for plugin@${name}.service failed`), started.stderr.slice(0, 1000));
      const [first = ''] = problems;
      const [, place = '', code = ''] = /^(\S+:\d+:\d+): (BH\d+) /.exec(first) ?? [];
      const line = /^ +Status: "(.*)"$/m.exec(shown.get(name) ?? '')?.[1] ?? '';
      assert.ok(line.startsWith(`${code} ${place}: `), `${line}\ndoes not begin with ${code} ${place}`);
      assert.match(shown.get(name) ?? '', /Active: failed/);
      if (problems.length > 1) assert.ok(line.includes(`(and ${problems.length - 1} more: `), line);
    });
  }

  it('are told by status and list, too', async () => {
    const summaries = JSON.parse(await must('bulkheadctl', 'list', '--json')) as {
      name: string;
      state: string;
      reason: { code: string } | null;
    }[];
    for (const { name, problems } of cases) {
      const summary = summaries.find((candidate) => candidate.name === name);
      assert.equal(summary?.state, 'failed', name);
      assert.equal(summary.reason?.code, /BH\d+/.exec(problems[0] ?? '')?.[0], name);
    }
  });

  it('disturb neither the supervisor nor another plugin', async () => {
    await run('systemctl', 'start', ...cases.map(({ name }) => `plugin@${name}`));
    await load.more(20);
    const { ok, lost } = await load.stop();
    assert.deepEqual(lost, []);
    assert.ok(ok > 100, `only ${ok} requests`);
    assert.deepEqual(pidsOf(await untilWhole(healthy, 2)), calm.pids);
    assert.equal((await status(healthy)).restarts.total, 0);
    const now = await supervisorPid();
    assert.equal(now, calm.supervisor);
    assert.ok(memoryKb(now) < MOST_KB, `${memoryKb(now)} KiB`);
  });
});
