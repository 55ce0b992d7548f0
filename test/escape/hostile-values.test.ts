/** Declarations, names and files that are made to confuse: refused in good order, or without harm. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { isPluginName } from '../../src/declare/plugin-name.ts';
import { must, type Ran, run, supervisorPid, uninstall } from '../support/system.ts';
import { FILES, LINES, NAMES } from './hostile-value.ts';
import { PROGRAM } from './scene.ts';

const DECLARATIONS = '/etc/bulkhead/plugins';
/** Looked at together, and the host after them. */
const BATCH = 12;
/** A file of ours with line and column, and what is wrong there. */
const PRECISE = /\S+:\d+:\d+: BH\d{3} \S/;

/** What must be as it was, whatever anybody was told to start. */
async function host(): Promise<unknown> {
  const listings = ['/', '/etc', '/run', '/run/plugin', '/run/bulkhead/sandbox', '/opt/plugin', '/srv'];
  return {
    supervisor: await supervisorPid(),
    units: (await must('systemctl', 'list-units', '--plain', '--no-legend', 'plugin-*')).trim(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').split('\n').length,
    listings: listings.map((path) => [path, readdirSync(path).sort()]),
    passwords: ['/etc/passwd', '/etc/shadow', '/etc/group'].map((path) =>
      createHash('sha256').update(readFileSync(path)).digest('hex'),
    ),
    sockets: (await must('ss', '-Hlx')).split('\n').length,
  };
}

function batches<Item>(items: readonly Item[]): Item[][] {
  const count = Math.ceil(items.length / BATCH);
  return Array.from({ length: count }, (_, index) => items.slice(index * BATCH, (index + 1) * BATCH));
}

/** Nothing that a terminal would take for an order, and nothing of the passwords. */
function assertPlain(what: string, { stdout, stderr }: Ran): void {
  const shown = `${stdout}${stderr}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  assert.doesNotMatch(shown, /[\u0000-\u0008\u000b-\u001f\u007f]/, what);
  assert.doesNotMatch(shown, /root:[*!$]/, what);
}

describe('what is made to confuse', function () {
  this.timeout(120_000);
  let asItWas: unknown;

  before(async () => {
    for (const directory of ['/run/plugin', '/opt/plugin']) mkdirSync(directory, { recursive: true });
    symlinkSync('/etc/hostname', '/run/hostile-link');
    await must('mkfifo', '/run/hostile-fifo');
    writeFileSync('/run/hostile-large', Buffer.alloc(3 << 20));
  });

  after(() => {
    for (const path of ['/run/hostile-link', '/run/hostile-fifo', '/run/hostile-large']) rmSync(path, { force: true });
  });

  beforeEach(async () => {
    asItWas = await host();
  });

  afterEach(async () => {
    assert.deepEqual(await host(), asItWas);
  });

  for (const [nth, names] of batches(NAMES).entries()) {
    it(`names of plugins, part ${nth + 1}`, async () => {
      const files: string[] = [];
      try {
        for (const name of names) {
          if (name.includes('/') || name === '.' || name === '..' || Buffer.byteLength(name) > 240) continue;
          files.push(`${DECLARATIONS}/${name}.yaml`);
          writeFileSync(`${DECLARATIONS}/${name}.yaml`, 'template: native\nexec: [/bin/sleep, "600"]\n');
        }
        await Promise.all(
          names.map(async (name) => {
            for (const verb of ['check', 'status', 'plan', 'audit', 'restart']) {
              const ran = await run('bulkheadctl', verb, '--', name);
              assert.notEqual(ran.status, 0, `${verb} ${JSON.stringify(name)}: ${ran.stdout}`);
              assertPlain(`${verb} ${JSON.stringify(name)}`, ran);
            }
            const started = await run('systemctl', 'start', '--', `plugin@${name}.service`);
            // What systemctl takes for a pattern matches nothing.
            if (!/called with a glob/.test(started.stderr)) assert.notEqual(started.status, 0, JSON.stringify(name));
          }),
        );
        assertPlain('list', await run('bulkheadctl', 'list'));
        for (const file of readdirSync('/run/bulkhead/plugin'))
          assert.ok(isPluginName(file.replace(/\.json$/, '')), file);
      } finally {
        for (const file of files) rmSync(file, { force: true });
        await run('systemctl', 'reset-failed');
      }
    });
  }

  /** A plugin that would run, but for what is at its declaration's place or in it. */
  function install(name: string): string {
    mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true });
    chmodSync(`/opt/plugin/${name}/v1`, 0o755);
    cpSync(PROGRAM, `/opt/plugin/${name}/v1/main`);
    return `${DECLARATIONS}/${name}.yaml`;
  }

  async function refused(name: string, what: string, precise: RegExp): Promise<void> {
    const check = await run('bulkheadctl', 'check', name);
    const start = await run('systemctl', 'start', `plugin@${name}`);
    const status = await run('systemctl', 'status', '--no-pager', '-l', `plugin@${name}`);
    assertPlain(what, check);
    assert.notEqual(start.status, 0, `${what}: it was started`);
    assert.match(`${check.stdout}${check.stderr}${status.stdout}`, precise, what);
  }

  for (const [nth, lines] of batches(LINES).entries()) {
    it(`values in declarations, part ${nth + 1}`, async () => {
      const installed = lines.map((line, index) => ({ line, name: `hostile-value-${nth}-${index}` }));
      try {
        for (const { line, name } of installed) {
          const key = /^\w+/.exec(line)?.[0];
          const usual = [
            'template: native',
            'version: v1',
            'exec: [./main, wait]',
            'recovery: { budget: { restarts: 0 } }',
          ];
          writeFileSync(install(name), [...usual.filter((own) => !own.startsWith(`${key}:`)), line, ''].join('\n'));
        }
        await Promise.all(installed.map(({ line, name }) => refused(name, line, /BH\d{3} \S/)));
      } finally {
        await Promise.all(installed.map(({ name }) => uninstall(name)));
      }
    });
  }

  it('files in the place of declarations', async () => {
    const installed = Object.entries(FILES).map(([what, make], index) => ({
      what,
      make,
      name: `hostile-file-${index}`,
    }));
    try {
      for (const { make, name } of installed) await must('sh', '-c', make, 'sh', install(name));
      await Promise.all(installed.map(({ what, name }) => refused(name, what, PRECISE)));
    } finally {
      for (const { name } of installed) {
        rmSync(`${DECLARATIONS}/${name}.yaml`, { recursive: true, force: true });
        await uninstall(name);
      }
    }
  });
});
