import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { forEachIsolation, isolationNow } from '../../support/isolation.ts';
import {
  declare,
  must,
  run,
  sandboxUnits,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const LIB = '/usr/lib/bulkhead';
const CACHE = '/run/bulkhead/seccomp';
const NATIVE = fileURLToPath(new URL('../../../../native/', import.meta.url));
const NSPAWN = '/usr/bin/systemd-nspawn';

/** Makes something wrong; what it returns makes it good again. */
type Break = (name: string) => (() => void | Promise<void>) | Promise<() => void | Promise<void>>;

interface Breakage {
  readonly what: string;
  readonly break: Break;
  /** What `systemctl status` has to show. */
  readonly shows: RegExp;
  /** The same for a scope, where it is something else; `no part` when it is no part of one. */
  readonly scope?: RegExp | 'no part';
  /** Lines of the declaration beside the usual ones. */
  readonly more?: readonly string[];
}

/** Puts something else in the place of a file; the file itself is kept as it is, with its times. */
function instead(path: string, make: (path: string) => void = () => undefined): Break {
  return () => {
    const kept = `${path}.kept-by-test`;
    renameSync(path, kept);
    make(path);
    return () => {
      rmSync(path, { force: true, recursive: true });
      renameSync(kept, path);
    };
  };
}

function program(text: string): (path: string) => void {
  return (path) => writeFileSync(path, text, { mode: 0o755 });
}

function list(change: (text: string) => string, name = 'native'): Break {
  const path = `${LIB}/seccomp/${name}.list`;
  return instead(path, () => writeFileSync(path, change(readFileSync(`${path}.kept-by-test`, 'utf8'))));
}

/**
 * Settings of systemd for the sandboxes of this plugin alone, or for the spawner: what the kernel or systemd does not let
 * whoever makes the sandbox do.
 */
function unitSetting(...lines: readonly string[]): Break {
  return async (name) => {
    const scope = isolationNow() === 'scope';
    const directory = `/run/systemd/system/${scope ? 'bulkhead-spawner' : `plugin-${name}-`}.service.d`;
    const apply = async () => {
      await systemctl('daemon-reload');
      if (scope) await systemctl('restart', 'bulkhead-spawner');
    };
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/broken.conf`, `[Service]\n${lines.join('\n')}\n`);
    await apply();
    return async () => {
      rmSync(directory, { recursive: true });
      await apply();
    };
  };
}

function listening(server: Server, address: { port: number; host: string } | { path: string }): Break {
  return async () => {
    await new Promise<void>((resolve) => server.listen(address, resolve));
    return () => new Promise<void>((resolve) => server.close(() => resolve()));
  };
}

const version = (name: string) => `/opt/plugin/${name}/v1`;
const ROOT = '/srv/broken-root';

function brokenForwarder(what: string, by: Break): Breakage {
  return {
    what: `the forwarder ${what}`,
    break: by,
    more: ['network: { egress: [127.0.0.1:9142, name.test:1] }'],
    shows: /BH302 .*step 'network': (Broken pipe|Connection reset by peer|Bad message)/,
  };
}

const BREAKAGES: readonly Breakage[] = [
  { what: 'the seccomp list is missing', break: instead(`${LIB}/seccomp/native.list`), shows: /BH205 .*native/ },
  {
    what: 'the seccomp list cannot be read',
    break: instead(`${LIB}/seccomp/native.list`, (path) => symlinkSync('/nowhere', path)),
    shows: /BH205 .*native\.list/,
  },
  {
    what: 'the seccomp list is a directory',
    break: instead(`${LIB}/seccomp/native.list`, (path) => mkdirSync(path)),
    shows: /BH603 .*(EISDIR|directory)/,
  },
  {
    what: 'the seccomp list has a bad line',
    break: list((text) => `${text}no_such_call # x\n`),
    shows: /BH603 .*native\.list:\d+.*no_such_call/,
  },
  {
    what: 'a line of the list has no reason',
    break: list((text) => `${text}read\n`),
    shows: /BH603 .*native\.list:\d+/,
  },
  {
    what: 'a list that it includes is missing',
    break: instead(`${LIB}/seccomp/runtime.list`),
    shows: /BH603 .*runtime/,
  },
  {
    what: 'the compiler of filters is missing',
    break: instead(`${LIB}/bulkhead-seccomp`),
    shows: /BH603 .*bulkhead-seccomp/,
  },
  {
    what: 'the compiler of filters fails',
    break: instead(`${LIB}/bulkhead-seccomp`, program('#!/bin/sh\necho out of luck >&2\nexit 1\n')),
    shows: /BH603 .*out of luck/,
  },
  {
    what: 'the compiler of filters writes nothing',
    break: instead(`${LIB}/bulkhead-seccomp`, program('#!/bin/sh\nfor file; do :; done; : >"$file"\n')),
    shows: /BH603 .*no filter/,
  },
  {
    what: 'the compiler of filters writes rubbish',
    break: instead(`${LIB}/bulkhead-seccomp`, program('#!/bin/sh\nfor file; do :; done; printf 01234567 >"$file"\n')),
    shows: /BH302 .*'seccomp'/,
  },
  {
    what: 'init is missing',
    break: instead(`${LIB}/plugin-init`),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'source': .*plugin-init/,
  },
  {
    what: 'init is not executable',
    break: () => {
      chmodSync(`${LIB}/plugin-init`, 0o644);
      return () => chmodSync(`${LIB}/plugin-init`, 0o755);
    },
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'init': Permission denied/,
  },
  {
    what: 'init is a program that ends',
    break: instead(`${LIB}/plugin-init`, (path) => copyFileSync('/usr/bin/true', path)),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH304 .*ended without a report/,
  },
  {
    what: 'init is a program that stays',
    break: instead(`${LIB}/plugin-init`, program('#!/bin/sh\nexec sleep 600\n')),
    more: ['health: { start-timeout: 1s }'],
    shows: /BH303 .*not ready within 1s/,
  },
  {
    what: 'the launcher is missing',
    break: instead(`${LIB}/plugin-launch`),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: 'no part',
  },
  {
    what: 'nspawn is missing',
    break: instead(NSPAWN),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: 'no part',
  },
  {
    what: 'nspawn fails',
    break: instead(NSPAWN, program('#!/bin/sh\nexit 1\n')),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: 'no part',
  },
  brokenForwarder('is missing', instead(`${LIB}/plugin-egress`)),
  brokenForwarder('ends', instead(`${LIB}/plugin-egress`, program('#!/bin/sh\nexit 0\n'))),
  brokenForwarder('says something else', instead(`${LIB}/plugin-egress`, program('#!/bin/sh\necho hello >&3\n'))),
  {
    what: 'a directory of the root is missing',
    break: instead(`${ROOT}/tmp`),
    shows: /BH204 .*\/tmp/,
    more: [`view: { root: ${ROOT} }`],
  },
  {
    what: 'the root is missing',
    break: instead(ROOT),
    shows: /BH204 .*broken-root/,
    more: [`view: { root: ${ROOT} }`],
  },
  { what: 'the version is missing', break: (name) => instead(version(name))(name), shows: /BH201 .*v1/ },
  { what: 'the program is missing', break: (name) => instead(`${version(name)}/main`)(name), shows: /BH202 .*main/ },
  {
    what: 'the program is not executable',
    break: (name) => {
      chmodSync(`${version(name)}/main`, 0o644);
      return () => chmodSync(`${version(name)}/main`, 0o755);
    },
    shows: /BH202 .*main.*not executable/,
  },
  {
    what: "the program's interpreter is not there",
    break: (name) => instead(`${version(name)}/main`, program('#!/opt/no/such/interpreter\n'))(name),
    shows: /BH305 .*'exec': No such file/,
  },
  {
    what: 'the program is none',
    break: (name) => instead(`${version(name)}/main`, program('\u007fELF, or not'))(name),
    shows: /BH305 .*'exec': Exec format error/,
  },
  {
    what: 'a stranger listens at the address',
    break: listening(createServer(), { port: 9141, host: '127.0.0.1' }),
    more: ['listen: [{ tcp: 127.0.0.1:9141 }]'],
    shows: /BH206 .*9141/,
  },
  {
    what: 'a stranger listens at the path',
    break: listening(createServer(), { path: '/run/broken-taken.sock' }),
    more: ['listen: [{ unix: /run/broken-taken.sock }]'],
    shows: /BH206 .*broken-taken/,
  },
  {
    what: 'the path of a socket is a file',
    break: () => {
      writeFileSync('/run/broken-file.sock', 'precious');
      return () => {
        assert.equal(readFileSync('/run/broken-file.sock', 'utf8'), 'precious');
        rmSync('/run/broken-file.sock');
      };
    },
    more: ['listen: [{ unix: /run/broken-file.sock }]'],
    shows: /BH206 .*broken-file.*not a socket/,
  },
  {
    what: "the socket's user is unknown",
    break: () => () => undefined,
    more: ['listen: [{ unix: /run/broken-user.sock, user: nobody-of-that-name }]'],
    shows: /BH207 .*nobody-of-that-name/,
  },
  {
    what: 'user namespaces are refused',
    break: unitSetting('RestrictNamespaces=~user'),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'clone'/,
  },
  {
    what: 'mount namespaces are refused',
    break: unitSetting('RestrictNamespaces=~mnt'),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'clone'/,
  },
  {
    what: 'the limit of open files cannot be set',
    break: unitSetting('SystemCallFilter=~prlimit64 setrlimit', 'SystemCallErrorNumber=EPERM'),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'limits'/,
  },
  {
    what: 'the kernel refuses filters',
    break: unitSetting('SystemCallFilter=~seccomp', 'SystemCallErrorNumber=EINVAL'),
    shows: /BH302 .*'seccomp': Invalid argument/,
  },
  {
    what: 'the ids of the user namespace cannot be taken on',
    break: unitSetting('SystemCallFilter=~setresuid setuid', 'SystemCallErrorNumber=EPERM'),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'ids'/,
  },
  {
    what: 'capabilities cannot be dropped',
    break: unitSetting('SystemCallFilter=~capset', 'SystemCallErrorNumber=EPERM'),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'capabilities'/,
  },
  {
    what: 'mounting is refused',
    break: unitSetting('SystemCallFilter=~@mount', 'SystemCallErrorNumber=EPERM'),
    shows: /BH301 .*start of 'plugin-\w+-a-g1\.service': failed: \S+/,
    scope: /BH302 .*'(root|propagation)'/,
  },
];

/** A payload that leaves a line in the journal as soon as it runs. */
function usual(name: string): string[] {
  return [
    'template: native',
    'version: v1',
    `environment: { TRACE: "${name}" }`,
    'recovery: { budget: { restarts: 0, within: 60s } }',
  ];
}

async function traces(name: string): Promise<number> {
  await must('journalctl', '--sync');
  const { stdout } = await run(
    'journalctl',
    '-b',
    '-o',
    'cat',
    `SYSLOG_IDENTIFIER=${name}`,
    '--grep',
    `^trace ${name}$`,
  );
  return stdout.split('\n').filter((line) => line === `trace ${name}`).length;
}

forEachIsolation('when a step of the set-up fails, nothing is run', function (isolation) {
  this.timeout(120_000);
  // Names of their own each time: the journal remembers earlier runs.
  const prefix = `brk${isolation}${Date.now().toString(36)}`;

  const cached = new Set<string>();

  before(() => {
    for (const name of readdirSync(CACHE)) cached.add(name);
    for (const directory of ['usr', 'proc', 'sys', 'dev', 'run', 'tmp', 'plugin'])
      mkdirSync(`${ROOT}/${directory}`, { recursive: true });
    for (const directory of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${directory}`, `${ROOT}/${directory}`);
  });

  after(() => {
    rmSync(ROOT, { recursive: true, force: true });
    // Filters of lists that were never meant to be.
    for (const name of readdirSync(CACHE)) if (!cached.has(name)) rmSync(`${CACHE}/${name}`);
  });

  for (const [index, { what, break: breakIt, shows, scope = shows, more = [] }] of BREAKAGES.entries()) {
    const expected = isolation === 'scope' ? scope : shows;
    if (expected === 'no part') continue;
    it(what, async () => {
      const name = `${prefix}x${index}`;
      mkdirSync(version(name), { recursive: true, mode: 0o755 });
      writeFileSync(`${version(name)}/main`, '#!/bin/sh\necho "trace $TRACE"\nexec sleep 600\n', { mode: 0o755 });
      declare(name, [...usual(name), ...more]);
      let repair: Awaited<ReturnType<Break>> | undefined;
      try {
        repair = await breakIt(name);
        const start = await run('systemctl', 'start', `plugin@${name}`);
        await until(
          'the unit is failed',
          async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0,
        );
        const shown = (await run('systemctl', 'status', '--no-pager', '-l', `plugin@${name}`)).stdout;
        const line = shown.split('\n').find((text) => text.includes('Status:')) ?? shown;
        if (process.env.SHOW) console.log(line);
        assert.match(line, expected);
        assert.equal(start.status, 1);
        assert.equal(await traces(name), 0);
        assert.deepEqual(await sandboxUnits(name), []);
        await repair();
        repair = undefined;
        declare(name, usual(name));
        await systemctl('start', `plugin@${name}`);
        await untilWhole(name, 1);
        await until('the payload runs', async () => (await traces(name)) === 1);
        assert.equal((await status(name)).reason, null);
      } finally {
        await repair?.();
        await uninstall(name);
      }
    });
  }
});

/** One instruction: everything is allowed. */
const ALLOW_ALL = Buffer.from('060000000000ff7f', 'hex');

describe('a compiled filter that is not what was compiled is not used', function () {
  this.timeout(120_000);
  const name = `bpf${Date.now().toString(36)}`;
  /** unshare(2). */
  const forbidden = process.arch === 'x64' ? 272 : 97;
  let file = '';
  let good: Buffer;

  before(async () => {
    mkdirSync(version(name), { recursive: true, mode: 0o755 });
    copyFileSync(`${NATIVE}test/probe`, `${version(name)}/main`);
    declare(name, ['template: native', 'version: v1', 'exec: [./main, sleep, "600000"]']);
    // Other tests leave filters of other lists: only its own is to be there.
    const natives = () => readdirSync(CACHE).filter((found) => found.startsWith('native-'));
    for (const old of natives()) rmSync(`${CACHE}/${old}`);
    await systemctl('start', `plugin@${name}`);
    await systemctl('stop', `plugin@${name}`);
    const [own, ...others] = natives();
    assert.deepEqual(others, []);
    file = `${CACHE}/${own}`;
    good = readFileSync(file);
  });

  after(async () => {
    if (file !== '') {
      rmSync(file, { recursive: true, force: true });
      writeFileSync(file, good, { mode: 0o600 });
    }
    await uninstall(name);
  });

  /** A payload that makes a forbidden call has to die of it, whatever was done to the file. */
  async function expectOurFilter(): Promise<void> {
    declare(name, [
      ...['template: native', 'version: v1', `exec: [./main, call, "${forbidden}"]`],
      'recovery: { budget: { restarts: 0, within: 60s } }',
    ]);
    await run('systemctl', 'start', `plugin@${name}`);
    await until('the unit is failed', async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0);
    assert.match(
      (await run('systemctl', 'status', '-l', `plugin@${name}`)).stdout,
      /Status: "BH304 .*forbidden system call/,
    );
    assert.deepEqual(readFileSync(file), good);
    await systemctl('reset-failed', `plugin@${name}`);
  }

  const damages: readonly [string, () => void][] = [
    ['removed', () => rmSync(file)],
    ['empty', () => writeFileSync(file, '')],
    ['cut in the middle of an instruction', () => writeFileSync(file, good.subarray(0, good.length - 3))],
    ['cut between instructions', () => writeFileSync(file, good.subarray(0, good.length - 8))],
    ['rubbish', () => writeFileSync(file, Buffer.alloc(good.length, 'rubbish'))],
    ['one that allows everything', () => writeFileSync(file, ALLOW_ALL)],
    [
      'a link to one that allows everything',
      () => {
        writeFileSync('/run/allow-all.bpf', ALLOW_ALL);
        rmSync(file);
        symlinkSync('/run/allow-all.bpf', file);
      },
    ],
    [
      'a directory',
      () => {
        rmSync(file);
        mkdirSync(file);
      },
    ],
  ];
  for (const [what, damage] of damages) {
    it(`${what}`, async () => {
      damage();
      try {
        if (what === 'a directory') {
          await run('systemctl', 'start', `plugin@${name}`);
          await until(
            'the unit is failed',
            async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0,
          );
          assert.match(
            (await run('systemctl', 'status', '-l', `plugin@${name}`)).stdout,
            /Status: "BH603 .*directory/i,
          );
          rmSync(file, { recursive: true });
        }
        await expectOurFilter();
      } finally {
        rmSync('/run/allow-all.bpf', { force: true });
      }
    });
  }

  it('one that allows everything, found by a supervisor that did not compile it', async () => {
    writeFileSync(file, ALLOW_ALL);
    await systemctl('restart', 'bulkheadd');
    await expectOurFilter();
  });
});
