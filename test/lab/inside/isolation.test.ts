import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { EventRecord, SandboxStatus } from '../../../src/control/api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  installExample,
  must,
  pidsOf,
  readySandboxes,
  run,
  status,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';
import type { ProcessFacts } from './isolation-facts.ts';
import {
  descriptorsOf,
  factsOf,
  isSameFile,
  mountsOf,
  NAMESPACES,
  namespacesOf,
  payloadGroup,
  payloadPids,
} from './isolation-facts.ts';
import type { Probed } from './isolation-probe.ts';
import { ask, PROBE } from './isolation-probe.ts';

const CACHE = '/run/bulkhead/seccomp';
const FILES = 777;
const PLUGINS = {
  'iso-python': {
    example: 'python',
    template: 'python',
    port: 9131,
    own: ['PYTHONUNBUFFERED=1', 'PYTHONDONTWRITEBYTECODE=1'],
  },
  'iso-node': { example: 'node', template: 'node', port: 9132, own: ['NODE_ENV=production'] },
  'iso-c': { example: 'c', template: 'native', port: 9133, own: [] },
} as const;
/** A payload of several processes, which opens nothing itself: it has what it was started with. */
const FAMILY = 'iso-family';
const NO_CAPABILITIES = '0000000000000000';
const NATIVE = fileURLToPath(new URL('../../../../native/', import.meta.url));

/** Mounts that are writable. Those in /proc/sys lie below read-only ones; /run belongs to nobody who is there. */
const WRITABLE = {
  nspawn: [
    '/dev/shm tmpfs',
    '/proc proc',
    '/proc/sys/kernel/random/boot_id tmpfs',
    '/proc/sys/net proc',
    '/run/bulkhead/activity tmpfs',
    '/tmp tmpfs',
  ],
  scope: ['/dev/shm tmpfs', '/proc proc', '/run tmpfs', '/run/bulkhead/activity tmpfs', '/tmp tmpfs'],
} as const;

interface Seen {
  readonly plugin: string;
  readonly sandbox: SandboxStatus;
  readonly init: ProcessFacts;
  readonly payloads: readonly ProcessFacts[];
}

forEachIsolation('isolation, seen from outside', function (isolation) {
  this.timeout(180_000);
  let seen: Seen[] = [];

  before(async () => {
    for (const [name, { example, template, port }] of Object.entries(PLUGINS)) {
      installExample(name, example, [
        `template: ${template}`,
        'version: v1',
        'pool: { size: 2 }',
        `listen: [{ tcp: 127.0.0.1:${port}, name: web }]`,
        'environment: { COLOUR: "blue green", EMPTY: "" }',
        `limits: { files: ${FILES} }`,
      ]);
    }
    declare(FAMILY, [
      'template: native',
      'exec: [/bin/sh, -c, "sleep 600 & sleep 600 & wait"]',
      'pool: { size: 2 }',
      'listen: [{ tcp: 127.0.0.1:9134, name: web }, { unix: /run/plugin/iso-family.sock, name: side }]',
      'environment: { COLOUR: "blue green", EMPTY: "" }',
      `limits: { files: ${FILES} }`,
    ]);
    const names = [...Object.keys(PLUGINS), FAMILY];
    await systemctl('start', ...names.map((name) => `plugin@${name}`));
    for (const plugin of names) {
      for (const sandbox of await untilWhole(plugin, 2)) {
        if (plugin === FAMILY) await until('all of the family', () => payloadPids(sandbox).length === 3);
        assert.ok(sandbox.initPid !== null);
        const isLoading = (pid: number) =>
          [...factsOf(pid).descriptors.values()].some((file) => file.startsWith('/usr/'));
        await until('its runtime has read all of itself', () => !payloadPids(sandbox).some(isLoading));
        seen.push({ plugin, sandbox, init: factsOf(sandbox.initPid), payloads: payloadPids(sandbox).map(factsOf) });
      }
    }
  });

  after(async () => {
    seen = [];
    for (const name of [...Object.keys(PLUGINS), FAMILY]) await uninstall(name);
  });

  /** Each process of each payload; with init, too, where it is asked for. */
  function each(look: (facts: ProcessFacts, seen: Seen) => void, also: 'payloads' | 'init too' = 'payloads'): void {
    assert.equal(seen.length, 8);
    assert.equal(seen.flatMap(({ payloads }) => payloads).length, 12);
    for (const one of seen)
      for (const facts of also === 'init too' ? [one.init, ...one.payloads] : one.payloads) look(facts, one);
  }

  it('every sandbox has a range of user ids of its own, and its payload runs inside it, never as its root', async () => {
    const all = JSON.parse(await must('bulkheadctl', 'list', '--json')) as { name: string; ready: number }[];
    const running = all.filter(({ ready }) => ready > 0);
    const sandboxes = (await Promise.all(running.map(({ name }) => status(name)))).flatMap((one) => one.sandboxes);
    const ranges = sandboxes.map(({ uidBase, uidCount }) => [uidBase, uidBase + uidCount] as const);
    assert.ok(ranges.length >= 8);
    ranges.sort(([one], [other]) => one - other);
    for (const [index, [begin, end]] of ranges.entries()) {
      assert.equal(end - begin, 65536);
      assert.ok(begin >= (ranges[index - 1]?.[1] ?? 1 << 20), `ranges ${JSON.stringify(ranges)} overlap`);
    }
    each(({ uids, gids, groups, uidMap, gidMap, pid }, { sandbox, init }) => {
      const { uidBase, uidCount } = sandbox;
      for (const map of [uidMap, gidMap]) assert.equal(map, `0 ${uidBase} ${uidCount}`);
      assert.deepEqual(groups, []);
      if (pid === init.pid) return;
      // Real, effective, saved, file system.
      assert.deepEqual(
        [uids, gids],
        [Array(uids.length).fill(uidBase + 1000), Array(gids.length).fill(uidBase + 1000)],
      );
      assert.equal(uids.length % 4, 0);
    }, 'init too');
    for (const { sandbox, payloads } of seen) assert.equal(sandbox.payloadPid, payloads[0]?.pid);
  });

  it('no payload has any capability, nor can it get one', () => {
    each(({ capabilities, noNewPrivs }) => {
      assert.deepEqual(capabilities, [NO_CAPABILITIES]);
      assert.deepEqual(noNewPrivs, ['1']);
    });
    // Init keeps CAP_KILL inside its own user namespace, to pass signals on.
    for (const { init } of seen) {
      assert.deepEqual([...init.capabilities].sort(), [NO_CAPABILITIES, '0000000000000020']);
      assert.deepEqual(init.noNewPrivs, ['1']);
    }
  });

  it('every thread of every payload is under exactly one filter', () => {
    each(({ seccomp, seccompFilters }) => assert.deepEqual([seccomp, seccompFilters], [['2'], ['1']]));
    for (const { sandbox } of seen) assert.deepEqual([sandbox.seccomp.mode, sandbox.seccomp.filters], [2, 1]);
  });

  it('every sandbox has all seven namespaces of its own', async () => {
    const host = [namespacesOf('self'), namespacesOf(1), namespacesOf(await supervisorPid())];
    for (const kind of NAMESPACES) {
      const own = seen.map(({ init }) => init.namespaces[kind]);
      const others = new Set(host.map((namespaces) => namespaces[kind]));
      assert.equal(new Set(own).size, seen.length, `${kind}: ${own}`);
      assert.deepEqual(
        own.filter((namespace) => others.has(namespace)),
        [],
        kind,
      );
    }
    each(({ namespaces }, { init }) => assert.deepEqual(namespaces, init.namespaces));
    each(({ innerPid }, { init }) => assert.equal(innerPid === 1, innerPid === init.innerPid), 'init too');
  });

  it('every process is in the cgroup that is told', () => {
    each(({ cgroup }, { plugin, sandbox }) => {
      assert.equal(sandbox.cgroup, `/plugin.slice/plugin-${plugin.replaceAll('-', '\\x2d')}.slice/${sandbox.unit}`);
      assert.equal(cgroup, payloadGroup(sandbox));
    }, 'init too');
  });

  it('the root is ours and read-only, and so is every mount that is not of the sandbox alone', () => {
    for (const { sandbox, plugin, payloads } of seen) {
      const pid = payloads[0]?.pid ?? 0;
      const mounts = mountsOf(pid);
      const writable = mounts.filter(({ options }) => !options.includes('ro'));
      assert.deepEqual(
        [...new Set(writable.map(({ target, type }) => `${target} ${type}`))].sort(),
        WRITABLE[isolation],
        sandbox.unit,
      );
      for (const { target, options } of writable)
        assert.ok(options.includes('nosuid'), `${target} has set-uid programs`);
      const roots = mounts.filter(({ target }) => target === '/');
      assert.ok(roots.length > 0 && roots.every(({ options }) => options.includes('ro') && options.includes('nodev')));
      assert.ok(isSameFile(`/proc/${pid}/root/`, '/run/bulkhead/skeleton'));
      assert.ok(isSameFile(`/proc/${pid}/root/usr`, '/usr'));
      if (plugin !== FAMILY) assert.ok(isSameFile(`/proc/${pid}/root/plugin`, `/opt/plugin/${plugin}/v1`));
      for (const hidden of ['etc', 'home', 'root', 'var', 'opt']) {
        assert.ok(!isSameFile(`/proc/${pid}/root/${hidden}`, `/${hidden}`), hidden);
      }
    }
  });

  it('the environment is what is documented and declared, and nothing else', () => {
    each(({ environment }, { plugin, sandbox, payloads }) => {
      const example = plugin === FAMILY ? undefined : PLUGINS[plugin as keyof typeof PLUGINS];
      const expected = [
        ...[
          'PATH=/usr/local/bin:/usr/bin:/bin',
          'HOME=/tmp',
          'LANG=C.UTF-8',
          'TMPDIR=/tmp',
          'COLOUR=blue green',
          'EMPTY=',
        ],
        ...(example === undefined ? [] : [...example.own, 'BULKHEAD_VERSION=v1']),
        ...[`BULKHEAD_PLUGIN=${plugin}`, `BULKHEAD_SANDBOX=${sandbox.machine}`],
        'BULKHEAD_ACTIVITY=/run/bulkhead/activity',
        ...(example === undefined
          ? ['LISTEN_FDS=2', 'LISTEN_FDNAMES=web:side']
          : ['LISTEN_FDS=1', 'LISTEN_FDNAMES=web']),
        `LISTEN_PID=${payloads[0]?.innerPid}`,
      ];
      // A shell adds its own to what its children get.
      const given =
        plugin === FAMILY ? environment.filter((variable) => !/^(PWD|OLDPWD|_|SHLVL)=/.test(variable)) : environment;
      assert.deepEqual([...given].sort(), expected.sort());
    });
  });

  it('a payload gets the standard streams and its listeners, and no other descriptor', async () => {
    const supervisors = new Set(descriptorsOf(await supervisorPid()).values());
    each(({ descriptors, pid }, { plugin, init }) => {
      const [input = '', out = '', errors = '', ...more] = [...descriptors.values()];
      assert.equal(input, '/dev/null');
      assert.match(out, /^socket:/);
      assert.equal(errors, out);
      const listeners = more.filter((target) => target.startsWith('socket:') && supervisors.has(target));
      const wanted = plugin === FAMILY ? 2 : 1;
      assert.deepEqual([listeners, listeners.length], [more.slice(0, wanted), wanted], `process ${pid}`);
      if (plugin === FAMILY) assert.deepEqual([...descriptors.keys()], [0, 1, 2, 3, 4]);
      // Whatever a runtime opened for itself later is neither of init's nor a file of the host.
      const inits = new Set([...init.descriptors.values()].filter((target) => /^pipe:/.test(target)));
      for (const target of more.slice(wanted)) {
        assert.match(target, /^(anon_inode:|socket:|pipe:|\/dev\/(null|urandom)$|\/run\/bulkhead\/activity$)/);
        assert.ok(!inits.has(target), `process ${pid} holds the report pipe`);
      }
    });
  });

  it('limits are as declared, and a payload dies before anything else when memory runs out', () => {
    each(({ openFiles, oomScoreAdj }) => assert.deepEqual([openFiles, oomScoreAdj], [[FILES, FILES], 1000]));
  });

  it('the compiled filter is, byte by byte, what the installed list says', async () => {
    for (const profile of ['python', 'node', 'native']) {
      const compiled = `/run/iso-${profile}.bpf`;
      try {
        await must(
          '/usr/lib/bulkhead/bulkhead-seccomp',
          'compile',
          `/usr/lib/bulkhead/seccomp/${profile}.list`,
          '-o',
          compiled,
        );
        // Filters of earlier lists and compilers stay until the next boot; what is used is the newest.
        const cached = readdirSync(CACHE).filter((name) => new RegExp(`^${profile}-[0-9a-f]{16}\\.bpf$`).test(name));
        const newest = cached
          .sort((one, other) => statSync(`${CACHE}/${one}`).mtimeMs - statSync(`${CACHE}/${other}`).mtimeMs)
          .at(-1);
        assert.deepEqual(readFileSync(`${CACHE}/${newest}`), readFileSync(compiled));
      } finally {
        rmSync(compiled, { force: true });
      }
    }
  });
});

/** Numbers of calls, which differ from machine to machine. */
const CALLS = {
  x64: { unshare: 272, io_uring_setup: 425, timer_delete: 226, listxattr: 194 },
  arm64: { unshare: 97, io_uring_setup: 425, timer_delete: 111, listxattr: 11 },
}[process.arch as 'x64' | 'arm64'];

forEachIsolation('the filter, asked by a payload', function (isolation) {
  this.timeout(180_000);
  const name = `iso-calls-${isolation}-${Date.now().toString(36)}`;

  afterEach(() => uninstall(name));

  /** Runs one call under a profile; returns what the payload printed, how init ended, and the event. */
  async function outcome(
    profile: string,
    call: number,
  ): Promise<{ printed: string; exitStatus: string; event: EventRecord | undefined }> {
    mkdirSync(`/opt/plugin/${name}/v1`, { recursive: true, mode: 0o755 });
    cpSync(`${NATIVE}test/probe`, `/opt/plugin/${name}/v1/main`);
    declare(name, [
      'template: native',
      `seccomp: ${profile}`,
      'version: v1',
      `exec: [./main, call, "${call}", "0x10000000"]`,
      'recovery: { budget: { restarts: 0, within: 60s } }',
    ]);
    await run('systemctl', 'start', `plugin@${name}`);
    await until('the unit is failed', async () => (await run('systemctl', 'is-failed', `plugin@${name}`)).status === 0);
    const events = (await must('bulkheadctl', 'events', name, '--json'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as EventRecord);
    const event = events.findLast(({ kind }) => kind === 'died');
    await must('journalctl', '--sync');
    const printed = await run('journalctl', '-o', 'cat', `_SYSTEMD_UNIT=${event?.unit}`, `SYSLOG_IDENTIFIER=${name}`);
    const ended = await run(
      'journalctl',
      '-o',
      'cat',
      '--output-fields=EXIT_STATUS',
      `UNIT=${event?.unit}`,
      'EXIT_CODE=exited',
    );
    return { printed: printed.stdout.trim(), exitStatus: ended.stdout.trim(), event };
  }

  it('a forbidden call ends the payload, and init says so with its status', async () => {
    const { printed, exitStatus, event } = await outcome('native', CALLS.unshare);
    assert.equal(printed, '');
    // A scope has no main process whose status systemd would tell.
    assert.equal(exitStatus, isolation === 'nspawn' ? '134' : '');
    assert.match(event?.text ?? '', /forbidden system call/);
    assert.match(
      (await run('systemctl', 'status', `plugin@${name}`)).stdout,
      /Status: "BH304 .*forbidden system call 'unshare' \(134\)/,
    );
  });

  it('a call that is answered with an error gets that error', async () => {
    const { printed, event } = await outcome('native', CALLS.io_uring_setup);
    assert.equal(printed, 'result -38');
    assert.match(event?.text ?? '', /exit status 0/);
  });

  it('each profile is the one that was declared', async () => {
    // timer_delete is of native alone, listxattr of python alone.
    assert.match((await outcome('native', CALLS.timer_delete)).printed, /^result -22$/);
    assert.match((await outcome('python', CALLS.timer_delete)).event?.text ?? '', /forbidden system call/);
    assert.match((await outcome('native', CALLS.listxattr)).event?.text ?? '', /forbidden system call/);
    assert.match((await outcome('python', CALLS.listxattr)).printed, /^result -14$/);
  });
});

forEachIsolation('isolation, tried from inside', function (isolation) {
  this.timeout(180_000);
  const PORT = 9135;
  let probed: Probed;
  let neighbours: number[] = [];
  let visits = 0;
  const witness = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });

  before(async () => {
    await new Promise<void>((resolve) => witness.listen(9136, '127.0.0.1', resolve));
    installExample('iso-neighbour', 'c', [
      'template: native',
      'version: v1',
      'pool: { size: 2 }',
      'listen: [{ tcp: 127.0.0.1:9137 }]',
    ]);
    mkdirSync('/opt/plugin/iso-probe/v1/data', { recursive: true, mode: 0o755 });
    mkdirSync('/opt/plugin/iso-probe/v2', { recursive: true, mode: 0o755 });
    writeFileSync('/opt/plugin/iso-probe/v1/main.py', PROBE, { mode: 0o666 });
    declare('iso-probe', ['template: python', 'version: v1', `listen: [{ tcp: 127.0.0.1:${PORT} }]`]);
    await systemctl('start', 'plugin@iso-neighbour', 'plugin@iso-probe');
    neighbours = pidsOf(await untilWhole('iso-neighbour', 2));
    probed = await ask(PORT, {
      pids: [...neighbours, process.pid, await supervisorPid()],
      sockets: [
        ...[
          '/run/bulkhead/anchor.sock',
          '/run/bulkhead/launch.sock',
          '/run/dbus/system_bus_socket',
          '/run/systemd/private',
        ],
        ...['/run/systemd/notify', '/run/systemd/journal/socket', '/run/systemd/journal/stdout', '/run/host/notify'],
      ],
      tcp: [
        ['127.0.0.1', 9136],
        ['192.0.2.1', 80],
      ],
      listings: [
        '/',
        '/plugin',
        '/home',
        '/root',
        '/var',
        '/var/lib',
        '/opt',
        '/etc',
        '/run',
        '/tmp',
        '/run/bulkhead',
        '/run/host',
        '/run/host/incoming',
        '/sys',
      ],
      texts: [
        '/etc/shadow',
        '/etc/passwd',
        '/etc/hosts',
        '/etc/nsswitch.conf',
        '/etc/hostname',
        '/proc/1/environ',
        '/proc/1/mem',
      ],
    });
  });

  after(async () => {
    await new Promise((resolve) => witness.close(resolve));
    await uninstall('iso-probe');
    await uninstall('iso-neighbour');
  });

  it('nothing can be written but /tmp, /dev/shm and the activity page', () => {
    const { directories, files, devices, looked } = probed.writes;
    assert.ok(looked > 1000, `only ${looked} files and directories were looked at`);
    assert.deepEqual(directories, ['/dev/shm', '/tmp']);
    // Everybody may open these everywhere: a trigger on pressure (PSI) is the process's own and changes nothing.
    assert.deepEqual(
      files.filter((path) => !/^\/proc\/pressure\/(cpu|io|irq|memory)$/.test(path)),
      ['/run/bulkhead/activity'],
    );
    const harmless = ['full', 'null', 'random', 'tty', 'urandom', 'zero'].map((device) => `/dev/${device}`);
    const nspawns = [...harmless.slice(0, 2), '/dev/pts/ptmx', ...harmless.slice(2)];
    assert.deepEqual(devices, isolation === 'nspawn' ? nspawns : harmless);
  });

  it('nothing of the host but /usr is seen, and /plugin is the version', () => {
    const { listings, texts } = probed;
    assert.deepEqual(listings['/plugin'], ['data', 'main.py']);
    assert.deepEqual(listings['/'], [
      'bin',
      'dev',
      'etc',
      'home',
      'lib',
      'lib64',
      'opt',
      'plugin',
      'proc',
      'root',
      'run',
      'sbin',
      'sys',
      'tmp',
      'usr',
      'var',
    ]);
    for (const path of ['/home', '/root', '/opt', '/var/lib', '/tmp']) assert.deepEqual(listings[path], [], path);
    assert.deepEqual(listings['/var'], ['lib', 'run', 'tmp']);
    assert.deepEqual(listings['/run'], ['bulkhead', ...(isolation === 'nspawn' ? ['host'] : []), 'plugin-init']);
    assert.deepEqual(listings['/run/bulkhead'], ['activity']);
    assert.equal(listings['/run/host/incoming'], 'No such file or directory');
    assert.deepEqual(listings['/sys'], ['fs']);
    assert.deepEqual(listings['/run/host'], isolation === 'nspawn' ? [] : 'No such file or directory');
    assert.deepEqual(listings['/etc'], [
      'group',
      'hosts',
      'machine-id',
      'nsswitch.conf',
      'os-release',
      'passwd',
      'resolv.conf',
    ]);
    assert.equal(texts['/etc/shadow'], 'No such file or directory');
    assert.match(texts['/etc/passwd'] ?? '', /^root:.*\nplugin:x:1000:1000:.*\nnobody:.*\n$/);
    assert.match(texts['/etc/hosts'] ?? '', /^127\.0\.0\.1 localhost$/m);
    assert.equal(texts['/proc/1/environ'], 'Permission denied');
    assert.equal(texts['/proc/1/mem'], 'Permission denied');
  });

  it('it is a user of its own, alone with its init', async () => {
    assert.deepEqual(probed.ids, [1000, 1000, 1000, 1000]);
    assert.equal(probed.cwd, '/plugin');
    assert.deepEqual(probed.processes, [1, probed.pid]);
    const { 1: init, ...others } = probed.kill;
    assert.equal(init, 'Operation not permitted');
    assert.deepEqual([...new Set(Object.values(others))], ['No such process']);
    assert.deepEqual(pidsOf(await readySandboxes('iso-neighbour')), neighbours);
    const [sandbox] = await readySandboxes('iso-probe');
    assert.equal(probed.hostname, sandbox?.machine);
    assert.deepEqual(probed.cgroup, ['0::/']);
  });

  it('it reaches no socket of the host, and no network but its own loopback', () => {
    assert.deepEqual(probed.interfaces, ['lo']);
    // 127.0.0.1 is its own: the witness of the same port on the host hears nothing.
    assert.deepEqual(probed.tcp, ['Connection refused', 'Network is unreachable']);
    assert.equal(visits, 0);
    assert.deepEqual([...new Set(Object.values(probed.connect).flat())], ['No such file or directory']);
    assert.deepEqual(probed.sockets, {});
  });
});
