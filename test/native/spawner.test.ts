import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs';
import { listenTcp, pipe } from '../../src/kernel/native.ts';
import { prepare, scratch, stateOf, statusField } from './native-programs.ts';
import { until } from './spawner-connection.ts';
import { ID_BASE, SpawnerHost, UNIT } from './spawner-host.ts';

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
      await until('output', () => host.streams[0]?.ended === true);
      assert.equal(host.streams.length, 1);
      assert.equal(host.streams[0]?.header, 'x\n\n6\n1\n0\n0\n0');
      const state = stateOf(host.streams[0]?.text ?? '');
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
      await until('end', () => !host.lives(pid));
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
    assert.ok(host.lives(pid));
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
    assert.ok(host.lives(pid));

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

  it('ends the child when the supervisor goes before it says go', async () => {
    const spawn = await host.spawn();
    const pid = await spawn.cloned();
    assert.ok(host.lives(pid));
    spawn.drop();
    await until('end of the child', () => !host.lives(pid));
    await spawn.gone;
    assert.deepEqual(spawn.reports, []);
  });

  for (const delay of [0, 0, 1, 1, 2, 3, 5]) {
    it(`leaves nothing when it is killed ${delay} ms after an order`, async () => {
      const before = readFileSync('/proc/self/mountinfo', 'utf8');
      const spawn = await host.spawn();
      await new Promise((settle) => setTimeout(settle, delay));
      const daemon = await host.daemon.innerPid();
      const served = await descendants(daemon);
      host.daemon.kill();
      await spawn.closed;
      await spawn.gone;
      for (const pid of served) await until(`end of ${pid}`, () => !host.lives(pid));
      assert.equal(readFileSync('/proc/self/mountinfo', 'utf8'), before);
      assert.doesNotMatch(spawn.said, /started/);
    });
  }

  async function descendants(pid: number): Promise<number[]> {
    const own = childrenOf(pid);
    return [...own, ...(await Promise.all(own.map(descendants))).flat()];
  }

  function childrenOf(pid: number): number[] {
    try {
      return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);
    } catch {
      return [];
    }
  }

  it('is not held up by a spawn that is stuck', async () => {
    const stuck = await host.spawn({ unit: 'plugin-stuck-a-g1.scope' });
    const child = readFileSync(`/proc/${await stuck.cloned()}/status`, 'utf8');
    const server = Number(/^PPid:\s*(\d+)$/m.exec(child)?.[1]);
    assert.ok(childrenOf(await host.daemon.innerPid()).includes(server));
    process.kill(server, 'SIGSTOP');
    await host.run();
    assert.match(readFileSync(`/proc/${server}/status`, 'utf8'), /^State:\s*T/m);
  });

  it('answers although nobody reads the report pipe, and it is full', async () => {
    const { read, write } = pipe();
    const filter = openSync('/etc/hostname', 'r');
    try {
      assert.throws(() => {
        for (;;) writeSync(write, 'x'.repeat(4096));
      }, /EAGAIN/);
      const spawn = await host.spawn({ fds: [write, filter], root: '/nonexistent' });
      assert.match(await spawn.answer(), /^failed root 2 /);
    } finally {
      for (const fd of [read, write, filter]) closeSync(fd);
    }
  });

  for (const signal of ['SIGTERM', 'SIGCONT'] as const) {
    it(`keeps ${signal} for init when it comes at the gate`, async () => {
      const spawn = await host.spawn({ init: ['--stop-signal=15'] });
      const pid = await spawn.cloned();
      host.register(pid);
      process.kill(pid, signal);
      spawn.say(`go ${UNIT}\n`);
      await spawn.gone;
      assert.deepEqual(
        spawn.events().filter((event) => event !== 'ready'),
        ['started', 'stopping', 'exit'],
      );
      assert.equal(spawn.reports.at(-1)?.status, 15);
    });
  }

  it('serves many at once', async () => {
    const numbers = Array.from({ length: 60 }, (_, i) => i + 1);
    const runs = await Promise.all(numbers.map((i) => host.run({ unit: `plugin-many-a-g${i}.scope` })));
    for (const { pid } of runs) assert.ok(host.lives(pid));
    assert.equal(new Set(runs.map(({ pid }) => namespace(pid, 'user'))).size, numbers.length);
  });

  it('takes an order that comes in pieces, and go with it', async () => {
    const spawn = await host.spawn({ init: Array.from({ length: 3000 }, (_, i) => `--env=V${i}=${'v'.repeat(100)}`) });
    const pid = await spawn.cloned();
    host.register(pid);
    spawn.say('go ');
    await new Promise((settle) => setTimeout(settle, 30));
    spawn.say(`${UNIT}\n`);
    assert.equal(await spawn.answer(), `cloned ${pid}\nstarted\n`);
  });

  it('takes as many descriptors as a message can carry', async () => {
    const listeners = Array.from({ length: 251 }, () =>
      listenTcp({ host: '127.0.0.1', port: 0, backlog: 1, reusePort: false }),
    );
    try {
      const told = await host.told({
        listeners,
        init: listeners.map((_, i) => `--listen=l${i}`),
        command: ['/plugin/probe', 'state'],
      });
      assert.equal(stateOf(told).get('fd')?.length, 3 + 251);
    } finally {
      for (const fd of listeners) closeSync(fd);
    }
  });

  it('takes random requests without a crash', async () => {
    const some = <T>(of: readonly T[]): T => of[Math.floor(Math.random() * of.length)] as T;
    const text = () => String.fromCharCode(...Array.from({ length: 8 }, () => 1 + Math.floor(Math.random() * 126)));
    for (let i = 0; i < 150; i++) {
      const words = [...host.words()];
      for (let changes = 0; changes <= i % 4; changes++) {
        const at = Math.floor(Math.random() * words.length);
        words.splice(at, some([0, 1, 2]), ...some([[], [text()], [some(words)], ['/'.repeat(5000)], ['--', '-1']]));
      }
      const spawn = await host.spawn({
        words,
        ...(i % 5 === 0 ? { line: `spawn 1 ${UNIT} ${some([1, 7, 300])}` } : {}),
      });
      await Promise.race([spawn.closed, until('an answer', () => spawn.said.includes('\n'), 8000)]);
      assert.match(spawn.said, /^(cloned|failed) /);
      spawn.drop();
    }
    const daemon = host.daemon;
    await host.run();
    assert.doesNotMatch(daemon.err, /signal|runtime error|Sanitizer/);
  });
});
