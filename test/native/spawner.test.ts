import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { listenTcp } from '../../src/kernel/native.ts';
import { prepare, scratch, stateOf, statusField } from './native-programs.ts';
import { ID_BASE, SpawnerHost, UNIT, until } from './spawner-host.ts';

describe('plugin-spawner', function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  let host: SpawnerHost;
  before(prepare);
  beforeEach(async () => {
    place = scratch();
    host = new SpawnerHost(place.path);
    await host.start();
  });
  afterEach(async () => {
    await host.stop();
    place.remove();
  });

  const lives = (pid: number) => existsSync(`/proc/${pid}`) && !/^State:\s*Z/m.test(status(pid));
  const status = (pid: number) => readFileSync(`/proc/${pid}/status`, 'utf8');
  const namespace = (pid: number | 'self', name: string) => readlinkSync(`/proc/${pid}/ns/${name}`);

  it('starts init with its descriptors, in its unit, in namespaces of its own', async () => {
    const listener = listenTcp({ host: '127.0.0.1', port: 0, backlog: 5, reusePort: false });
    try {
      const { spawn, pid } = await host.run({
        listeners: [listener],
        init: ['--listen=http'],
        command: ['/plugin/probe', 'state'],
      });
      await spawn.gone;
      assert.deepEqual(spawn.events(), ['started', 'ready', 'exit']);
      assert.equal(spawn.reports.at(-1)?.status, 0);
      await until('output', () => host.output().includes('\nsession\t'));
      assert.equal(host.streams.length, 1);
      assert.ok(host.streams[0]?.startsWith('x\n\n6\n1\n0\n0\n0\n'), host.streams[0]);
      const state = stateOf(host.output());
      assert.deepEqual(
        state.get('fd')?.map((line) => line.replace(/:\[.*/, '')),
        ['0 open /dev/null', '1 open socket', '2 open socket', '3 open socket'],
      );
      assert.deepEqual(state.get('ids'), ['2 1']);
      assert.ok(state.get('env')?.includes('LISTEN_FDS=1'));
      assert.deepEqual(state.get('nofile'), ['1024 1024']);
      assert.equal(statusField(state, 'Uid')?.split('\t')[0], '1000');
      assert.equal(statusField(state, 'Gid')?.split('\t')[0], '1001');
      assert.equal(statusField(state, 'Groups'), '');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.equal(statusField(state, set), '0000000000000000', set);
      assert.equal(statusField(state, 'NoNewPrivs'), '1');
      assert.equal(statusField(state, 'Seccomp_filters'), '1');
      for (const set of ['SigBlk', 'SigIgn']) assert.equal(statusField(state, set), '0000000000000000', set);
      await until('end', () => !lives(pid));
    } finally {
      closeSync(listener);
    }
  });

  it('makes all namespaces new, and maps exactly the range', async () => {
    const { pid } = await host.run();
    for (const name of ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'])
      assert.notEqual(namespace(pid, name), namespace('self', name), name);
    for (const map of ['uid_map', 'gid_map'])
      assert.equal(readFileSync(`/proc/${pid}/${map}`, 'utf8').trim().replace(/ +/g, ' '), `0 ${ID_BASE} 65536`, map);
  });

  it('shares the network of the host if it is told to, and nothing else', async () => {
    const { pid } = await host.run({ network: 'host' });
    assert.equal(namespace(pid, 'net'), namespace('self', 'net'));
    for (const name of ['user', 'mnt', 'pid', 'ipc', 'uts', 'cgroup'])
      assert.notEqual(namespace(pid, name), namespace('self', name), name);
  });

  it('holds nothing of a sandbox once it is started, and needs not live on', async () => {
    const daemon = await host.daemon.innerPid();
    const held = () => readdirSync(`/proc/${daemon}/fd`).map((fd) => readlinkSync(`/proc/${daemon}/fd/${fd}`));
    const before = held();
    const { spawn, pid } = await host.run();
    const children = `/proc/${daemon}/task/${daemon}/children`;
    await until('end of the process that served it', () => readFileSync(children, 'utf8') === '');
    assert.deepEqual(held(), before);
    await until('ready', () => spawn.events().includes('ready'));
    // Init has what it was given, and its own.
    const fds = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    for (const fd of fds)
      assert.match(fd, /^(\/dev\/null|socket:|pipe:|anon_inode:(\[(eventpoll|signalfd)\]|seccomp notify))/, `${fds}`);
    host.daemon.kill();
    await host.daemon.ended;
    assert.ok(lives(pid));
    // A new one takes its place.
    await host.startDaemon();
    await host.run({ unit: 'plugin-x-a-g2.scope' });
  });

  it('brings what is under way to its end when it is stopped', async () => {
    const spawn = await host.spawn();
    const pid = await spawn.cloned();
    process.kill(await host.daemon.innerPid(), 'SIGTERM');
    await until('end of the socket', () => connectionRefused());
    host.register(pid);
    spawn.say(`go ${UNIT}\n`);
    assert.equal(await spawn.answer(), `cloned ${pid}\nstarted\n`);
    assert.equal(await host.daemon.ended, 0, host.daemon.err);
    assert.ok(lives(pid));

    function connectionRefused(): boolean {
      return (
        spawnSync('node', [
          '-e',
          `require('net').connect('${host.socketPath}').on('error', () => process.exit(9))
        .on('connect', () => process.exit(0))`,
        ]).status === 9
      );
    }
  });
});
