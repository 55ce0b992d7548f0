import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, openSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, scratch } from './native-programs.ts';
import { until } from './spawner-connection.ts';
import { type Order, SpawnerHost, UNIT } from './spawner-host.ts';

describe('plugin-spawner refuses', function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  let host: SpawnerHost;
  before(async function () {
    prepare.call(this);
    place = scratch();
    host = new SpawnerHost(place.path);
    await host.start();
    // What a hostile root directory may have where mounts belong.
    host.makeRoot('links', (root) => {
      symlinkSync('/run', join(root, 'opt', 'run'));
      symlinkSync('../../../../../../../../tmp', join(root, 'opt', 'out'));
    });
    for (const name of ['proc', 'sys', 'dev', 'run', 'tmp'])
      host.makeRoot(`${name}-link`, (root) => {
        rmdirSync(join(root, name));
        symlinkSync('etc', join(root, name));
      });
    host.makeRoot('no-proc', (root) => rmdirSync(join(root, 'proc')));
    host.makeRoot('file-proc', (root) => {
      rmdirSync(join(root, 'proc'));
      writeFileSync(join(root, 'proc'), '');
    });
    symlinkSync('/proc/self/root/etc', join(place.path, 'magic'));
    symlinkSync('/etc/passwd', join(place.path, 'link'));
  });
  after(async () => {
    await host.stop();
    place.remove();
  });

  const long = 'x'.repeat(5000);
  const words = (change: (words: string[]) => string[]) => (): Order => ({ words: change(host.words()) });
  const without = (option: string) =>
    words((all) => {
      const at = all.indexOf(option);
      return [...all.slice(0, at), ...all.slice(at + 2)];
    });
  const instead = (option: string, value: string) =>
    words((all) => all.map((word, i) => (all[i - 1] === option ? value : word)));
  const more =
    (...options: string[]) =>
    (): Order => ({ options });

  type Case = [what: string, order: () => Order, says: RegExp];
  const unheard: Case[] = [
    ['another protocol', () => ({ line: `spawn 2 ${UNIT} 10` }), /^failed request 71 .*not understood/],
    ['another word', () => ({ line: 'hello' }), /^failed request 71 .*not understood/],
    ['a unit that is none', () => ({ line: 'spawn 1 ../x.scope 10' }), /^failed request 71/],
    ['no unit', () => ({ line: 'spawn 1  10' }), /^failed request 71/],
    ['no length', () => ({ line: `spawn 1 ${UNIT}` }), /^failed request 71/],
    ['length 0', () => ({ line: `spawn 1 ${UNIT} 0` }), /^failed request 71/],
    ['a negative length', () => ({ line: `spawn 1 ${UNIT} -1` }), /^failed request 71/],
    ['more than 4 MiB', () => ({ line: `spawn 1 ${UNIT} 4194305` }), /^failed request 71/],
    ['a line without end', () => ({ line: long }), /^failed request 71 .*too long/],
    ['control characters', () => ({ line: `spawn 1 ${UNIT}\t 10` }), /^failed request 71/],
    ['words cut in the middle', () => ({ line: `spawn 1 ${UNIT} 5` }), /^failed request 71 .*NUL/],
    ['no descriptors', () => ({ fds: [] }), /^failed descriptors 9 /],
    ['one descriptor', () => ({ fds: [stray()] }), /^failed descriptors 9 .*missing/],
    ['a report pipe that is none', () => ({ fds: [stray(), stray()] }), /^failed descriptors 9 .*pipe/],
    ['an unknown option', more('--what', 'x'), /^failed options 22 option '--what' is/],
    ['an option twice', more('--root', '/usr'), /^failed options 22 option '--root' is/],
    ['an option without its value', more('--bind', '/usr'), /^failed options 22 option '--bind' is/],
    ['an empty word', more(''), /^failed options 22 option '' is/],
    ['no machine', without('--machine'), /^failed options 22 --machine is missing/],
    ['no root', without('--root'), /^failed options 22 --root is missing/],
    ['no ids', without('--uid-base'), /^failed options 22 --uid-base is missing/],
    ['no network', without('--network'), /^failed options 22 --network is missing/],
    ['no limit', without('--nofile'), /^failed options 22 --nofile is missing/],
    ['ids of the host', instead('--uid-base', '0'), /^failed options 22 option '--uid-base'/],
    ['its first ids', instead('--uid-base', '65535'), /^failed options 22 option '--uid-base'/],
    ['ids beyond all', instead('--uid-base', '4294901760'), /^failed options 22 option '--uid-base'/],
    ['a host name that is none', instead('--machine', 'a/b'), /^failed options 22 option '--machine'/],
    ['a host name too long', instead('--machine', 'x'.repeat(65)), /'--machine'/],
    ['a plugin of two lines', instead('--plugin', 'a\nb'), /^failed options 22 option '--plugin'/],
    ['another network', instead('--network', 'other'), /^failed options 22 option '--network'/],
    ['the host as root', instead('--root', '/'), /^failed options 22 option '--root'/],
    ['a relative root', instead('--root', 'usr'), /^failed options 22 option '--root'/],
    ['a root that climbs', instead('--root', '/usr/..'), /^failed options 22 option '--root'/],
    ['a target that climbs', more('--bind-ro', '/usr', '/a/../b'), /'--bind-ro'/],
    ['a target with a dot', more('--bind-ro', '/usr', '/./b'), /'--bind-ro'/],
    ['a target with nothing', more('--bind-ro', '/usr', '/a//b'), /'--bind-ro'/],
    ['the root as target', more('--tmpfs', '/', '65536', '755'), /'--tmpfs'/],
    ...['/proc', '/proc/sys', '/sys', '/sys/fs/cgroup', '/dev', '/run'].map(
      (target): Case => [
        `${target} as target`,
        more('--tmpfs', target, '65536', '755'),
        /^failed options 22 option '--tm/,
      ],
    ),
    ['a size that is none', more('--tmpfs', '/tmp', '1M', '755'), /'--tmpfs'/],
    ['no size', more('--tmpfs', '/tmp', '0', '755'), /'--tmpfs'/],
    ['a mode that is none', more('--tmpfs', '/tmp', '65536', '799'), /'--tmpfs'/],
    ['a capability that is none', more('--cap', 'CAP_ALL'), /'--cap'/],
    [
      'more mounts than anyone needs',
      more(...Array.from({ length: 257 }, () => ['--bind-ro', '/usr', '/usr']).flat()),
      /^failed options 22 option '--bind-ro'/,
    ],
    ['no init', words((all) => all.slice(0, all.indexOf('--'))), /^failed options 22 no absolute path/],
    ['a relative init', words((all) => [...all.slice(0, all.indexOf('--')), '--', 'init']), /absolute/],
    ['a root that is not there', () => ({ root: '/nonexistent' }), /^failed root 2 \/nonexistent: /],
    ['a file as root', () => ({ root: '/etc/passwd' }), /^failed root 20 /],
    ['a source that is not there', more('--bind-ro', '/nonexistent', '/plugin'), /^failed source 2 \/none/],
    ['a writable one', more('--bind', '/nonexistent', '/plugin'), /^failed source 2 \/nonexistent: /],
    ['a source in /proc', more('--bind-ro', '/proc/self/root/etc', '/plugin'), /^failed source 40 \/proc/],
    [
      'a link into /proc',
      () => ({ options: ['--bind-ro', join(place.path, 'magic'), '/plugin'] }),
      /^failed source 40 /,
    ],
    ['a file that is a directory', more('--bind-file', '/etc', '/run/x'), /^failed source 22 \/etc: /],
    ["a file of the host's", more('--bind-file', '/etc/passwd', '/run/x'), /^failed source 1 \/etc\/passwd: /],
    [
      'a file by a link',
      () => ({ options: ['--bind-file', join(place.path, 'link'), '/run/x'] }),
      /^failed source 40 /,
    ],
    ['a device that is none', more('--device', '/etc/passwd', '/dev/x'), /^failed source 19 \/etc\/pas/],
  ];
  /** Found out by the child. */
  const undone: Case[] = [
    ['a target that cannot be made', more('--bind-ro', '/usr', '/new'), /^cloned \d+\nfailed mount 30 \/new: /],
    ['a directory at a file', more('--bind-ro', '/usr', '/etc/passwd'), /^cloned \d+\nfailed mount 20 \/etc/],
    ['a target through a file', more('--bind-ro', '/usr', '/etc/passwd/x'), /^cloned \d+\nfailed mount 20 /],
    ['a link as target', () => ({ root: root('tmp-link') }), /^cloned \d+\nfailed mount 40 \/tmp: /],
    [
      'a target behind a link',
      () => ({ root: root('links'), options: ['--bind-ro', '/usr', '/opt/run/x'] }),
      /^cloned \d+\nfailed mount 40 /,
    ],
    [
      'a link out of the root',
      () => ({ root: root('links'), options: ['--tmpfs', '/opt/out', '65536', '755'] }),
      /^cloned \d+\nfailed mount 40 /,
    ],
    ['a link for /proc', () => ({ root: root('proc-link') }), /^cloned \d+\nfailed proc 40 /],
    ['a link for /sys', () => ({ root: root('sys-link') }), /^cloned \d+\nfailed sys 40 /],
    ['a link for /dev', () => ({ root: root('dev-link') }), /^cloned \d+\nfailed dev 40 /],
    ['a link for /run', () => ({ root: root('run-link') }), /^cloned \d+\nfailed proc-masks 40 /],
    ['a root without /proc', () => ({ root: root('no-proc') }), /^cloned \d+\nfailed proc 30 /],
    ['a file for /proc', () => ({ root: root('file-proc') }), /^cloned \d+\nfailed proc 20 /],
  ];
  const open: number[] = [];
  const root = (name: string) => join(place.path, 'roots', name);
  function stray(): number {
    const fd = openSync('/etc/hostname', 'r');
    open.push(fd);
    return fd;
  }
  afterEach(() => {
    for (const fd of open.splice(0)) closeSync(fd);
  });

  for (const [what, order, says] of [...unheard, ...undone]) {
    it(what, async () => {
      const mounts = await host.mounts();
      const spawn = await host.spawn(order());
      const answer = await spawn.answer();
      assert.match(answer, says);
      assert.match(answer, /^(cloned \d+\n)?failed .*\n$/);
      await spawn.gone;
      const [, step] = /failed (\S+) /.exec(answer) ?? [];
      // Into the report pipe, too, unless it was none or could not be found out.
      const told = step === 'request' || step === 'descriptors' ? [] : [step];
      assert.deepEqual(
        spawn.reports.map((report) => report.step),
        told,
      );
      const pid = /^cloned (\d+)/.exec(answer)?.[1];
      if (pid !== undefined) await until('end of the child', () => !host.lives(Number(pid)));
      assert.equal(await host.mounts(), mounts);
    });
  }

  it('a child that is not in its unit', async () => {
    const spawn = await host.spawn();
    const pid = await spawn.cloned();
    host.register(pid, 'plugin-y-a-g1.scope');
    spawn.say(`go ${UNIT}\n`);
    assert.match(await spawn.answer(), /\nfailed scope 18 plugin-y-a-g1\.scope: /);
    await until('end of the child', () => !host.lives(pid));
    await spawn.gone;
    assert.deepEqual(spawn.events(), ['setup-failed']);
  });

  for (const said of ['go plugin-y-a-g1.scope\n', 'go\n', 'started\n', `go ${UNIT}\0x\n`, `${long}\n`]) {
    it(`${JSON.stringify(said.slice(0, 40))} instead of the unit's go`, async () => {
      const spawn = await host.spawn();
      const pid = await spawn.cloned();
      host.register(pid);
      spawn.say(said);
      assert.match(await spawn.answer(), /\nfailed request 71 .*'go'/);
      await until('end of the child', () => !host.lives(pid));
    });
  }

  it('an init that cannot be executed', async () => {
    const words = host.words();
    words[words.indexOf('--') + 1] = '/run/none';
    const spawn = await host.spawn({ words });
    const pid = await spawn.cloned();
    host.register(pid);
    spawn.say(`go ${UNIT}\n`);
    assert.match(await spawn.answer(), /\nfailed init 2 /);
    await spawn.gone;
    assert.deepEqual(spawn.events(), ['setup-failed']);
  });

  it('clients that are not root, also if they get through to the socket', async () => {
    chmodSync(host.socketPath, 0o666);
    const script = `const socket = require('net').connect(${JSON.stringify(host.socketPath)});
      socket.on('connect', () => socket.write('hello\\n')).on('data', (data) => process.stdout.write(data)).on('error', () => {});`;
    const client = (uid: number) =>
      spawnSync(process.execPath, ['-e', script], { uid, gid: uid, timeout: 4000 }).stdout.toString();
    assert.equal(client(65534), '');
    assert.match(client(0), /^failed request/);
    chmodSync(host.socketPath, 0o600);
  });

  it('a request that does not come, in time, and delays nobody by that', async () => {
    const began = Date.now();
    const silent = await host.spawn({ line: `spawn 1 ${UNIT} 4000000`, unit: 'plugin-slow-a-g1.scope' });
    const { pid } = await host.run();
    assert.ok(Date.now() - began < 2000);
    assert.ok(host.lives(pid));
    assert.match(await silent.answer(), /^failed request 71 .*in time/);
    assert.ok(Date.now() - began < 8000);
  });
});
