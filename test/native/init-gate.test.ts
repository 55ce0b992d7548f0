import assert from 'node:assert/strict';
import { closeSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { listenTcp, listenUnix, openProcess, queueSignal, socketAddress } from '../../src/kernel/native.ts';
import { compileFilter, payload, prepare, type Running, scratch, startInit } from './native-programs.ts';

const GATE_SIGNAL = 35;
const GATES = ['open', 'held', 'shut'] as const;
type Gate = (typeof GATES)[number];

/** Ways in which programs take connections; `native/test/acceptor.c`. */
const WAYS = ['block', 'poll', 'level', 'level-one', 'edge', 'exclusive', 'exclusive-edge'];

/** Real event loops, which tick beside their serving. */
const RUNTIMES: readonly [string, string, (name: string) => readonly string[]][] = [
  [
    'Node.js',
    'node',
    (name) => [
      '/usr/bin/node',
      '-e',
      `require('net').createServer((c) => c.on('error', () => {}).once('data', () => c.end('${name}')))
        .listen({ fd: 3 }, () => { console.log('serving'); setInterval(() => console.log('tick'), 50); })`,
    ],
  ],
  [
    'asyncio',
    'python',
    (name) => [
      '/usr/bin/python3',
      '-uc',
      `import asyncio, socket
async def serve(reader, writer):
    await reader.read(64)
    writer.write(b'${name}')
    writer.close()
async def main():
    await asyncio.start_server(serve, sock=socket.socket(fileno=3))
    print('serving')
    while True:
        await asyncio.sleep(0.05)
        print('tick')
asyncio.run(main())`,
    ],
  ],
  [
    'socketserver',
    'python',
    (name) => [
      '/usr/bin/python3',
      '-uc',
      `import socket, socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(64)
        self.request.sendall(b'${name}')
class Server(socketserver.ThreadingTCPServer):
    def service_actions(self):
        print('tick')
server = Server(('127.0.0.1', 0), Handler, bind_and_activate=False)
server.socket = socket.fromfd(3, socket.AF_INET, socket.SOCK_STREAM)
server.socket.setblocking(False)
print('serving')
server.serve_forever(poll_interval=0.05)`,
    ],
  ],
];

/** Longer than anything on a busy machine takes that is not stuck; ms. */
const STUCK_MS = 900;

describe('the gate of plugin-init', function () {
  this.timeout(60_000);
  let place: ReturnType<typeof scratch>;
  const running: Running[] = [];
  const open: number[] = [];
  before(prepare);
  beforeEach(() => {
    place = scratch();
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    for (const fd of open.splice(0)) closeSync(fd);
    place.remove();
  });

  function listener(kind: 'tcp' | 'unix' = 'tcp'): number {
    const fd =
      kind === 'tcp'
        ? listenTcp({ host: '127.0.0.1', port: 0, backlog: 1024, reusePort: false })
        : listenUnix({ path: `${place.path}/socket`, backlog: 1024, mode: 0o600 });
    open.push(fd);
    return fd;
  }

  /** A sandbox whose program says `serving` when it does. */
  async function start(gate: Gate, fd: number, profile: string, command: readonly string[]): Promise<Running> {
    const one = startInit({
      directory: place.path,
      filter: compileFilter(place.path, `${profile}+gate`),
      options: ['--listen=one', `--gate=${gate}`],
      descriptors: [fd],
      command,
    });
    running.push(one);
    await one.until('serving', () => one.out.includes('serving\n'), 20_000);
    return one;
  }

  /** A sandbox that answers with `name`. */
  function serve(name: string, gate: Gate, fd: number, way: string, ...more: string[]): Promise<Running> {
    const words = more.length === 0 ? ['1'] : more;
    return start(gate, fd, 'native', [payload('acceptor'), name, way, ...words]);
  }

  async function tell(one: Running, gate: Gate): Promise<void> {
    const told = one.events().filter((event) => event === 'gate').length;
    const init = openProcess(await one.innerPid());
    queueSignal(init, GATE_SIGNAL, GATES.indexOf(gate));
    closeSync(init);
    await one.until('answer', () => one.events().filter((event) => event === 'gate').length > told);
    assert.equal(one.reports.filter(({ event }) => event === 'gate').at(-1)?.gate, gate);
  }

  /** Who answered, or `nobody` after so many ms. */
  function ask(fd: number, ms = STUCK_MS): Promise<string> {
    const address = socketAddress(fd);
    return new Promise((resolve) => {
      const socket = address.family === 'unix' ? connect(address.path) : connect(address.port, address.host);
      const timer = setTimeout(() => end('nobody'), ms);
      const end = (who: string): void => {
        clearTimeout(timer);
        socket.destroy();
        resolve(who);
      };
      socket.on('connect', () => socket.write('?'));
      socket.on('data', (data) => end(data.toString()));
      socket.on('error', (error) => end(error.message));
      socket.on('close', () => end('lost'));
    });
  }

  /** Asks so often, `abreast` at a time; how often each answered. */
  async function askOften(fd: number, times: number, abreast: number): Promise<Record<string, number>> {
    const answers: Record<string, number> = {};
    let left = times;
    const one = async (): Promise<void> => {
      while (left-- > 0) {
        const who = await ask(fd);
        answers[who] = (answers[who] ?? 0) + 1;
      }
    };
    await Promise.all(Array.from({ length: abreast }, one));
    return answers;
  }

  for (const way of WAYS) {
    for (const kind of ['tcp', 'unix'] as const) {
      it(`${way}, ${kind}: held, it takes nothing; open, it takes what has waited; shut, it takes no more`, async () => {
        const fd = listener(kind);
        const one = await serve('one', 'held', fd, way, '3');
        const waiting = [ask(fd, 20_000), ask(fd, 20_000), ask(fd, 20_000)];
        assert.equal(await ask(fd, 150), 'nobody');
        await tell(one, 'open');
        assert.deepEqual(await Promise.all(waiting), ['one', 'one', 'one']);
        assert.deepEqual(await askOften(fd, 20, 2), { one: 20 });
        await tell(one, 'shut');
        // A thread that waits in accept(2) already takes what comes to it next; one that was on its way there does not.
        let late = 0;
        while ((await ask(fd, 150)) === 'one') late++;
        assert.ok(late <= (way === 'block' ? 3 : 0), `${late} were taken`);
        assert.equal(await ask(fd, 150), 'nobody');
        await tell(one, 'open');
        assert.equal(await ask(fd), 'one');
      });
    }

    it(`${way}: no connection waits because one that is held was woken for it`, async () => {
      const fd = listener();
      // The one that is held was there first, and is the first that the kernel wakes.
      const held = await serve('held', 'held', fd, way, '2');
      await serve('open', 'open', fd, way, '2');
      assert.deepEqual(await askOften(fd, 1000, 1), { open: 1000 });
      assert.deepEqual(await askOften(fd, 1000, 8), { open: 1000 });
      assert.ok(!held.events().includes('gate'));
    });

    it(`${way}: when the one that serves is killed, the standby takes what waits and what comes`, async () => {
      const fd = listener();
      let serving = await serve('first', 'open', fd, way, '2');
      for (let round = 0; round < 6; round++) {
        const standby = await serve(`standby-${round}`, 'held', fd, way, '2');
        assert.equal(await ask(fd), round === 0 ? 'first' : `standby-${round - 1}`);
        serving.kill();
        await serving.ended;
        const waiting = Array.from({ length: 5 }, () => ask(fd, 20_000));
        await tell(standby, 'open');
        assert.deepEqual(new Set(await Promise.all(waiting)), new Set([`standby-${round}`]));
        serving = standby;
      }
    });
  }

  for (const [runtime, profile, command] of RUNTIMES) {
    it(`${runtime}: a standby takes nothing, hinders nobody, and goes on with its own work; then it serves`, async () => {
      const fd = listener();
      const held = await start('held', fd, profile, command('held'));
      const serving = await start('open', fd, profile, command('open'));
      assert.deepEqual(await askOften(fd, 400, 4), { open: 400 });
      const ticks = held.out.length;
      await held.until('its own work', () => held.out.length > ticks);
      serving.kill();
      await serving.ended;
      const waiting = Array.from({ length: 5 }, () => ask(fd, 20_000));
      await new Promise((resolve) => setTimeout(resolve, 200));
      const ticksSince = held.out.length;
      await held.until('its own work beside connections that wait', () => held.out.length > ticksSince);
      await tell(held, 'open');
      assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['held']));
      assert.deepEqual(await askOften(fd, 100, 4), { held: 100 });
    });
  }

  for (const way of ['exclusive', 'exclusive-edge'])
    it(`${way}: no connection waits because it was told to one that died before it took it`, async () => {
      const fd = listener();
      // The kernel tells the one that was there first, which takes its time.
      const dies = await serve('dies', 'open', fd, way, '1', 'slow');
      await serve('stays', 'open', fd, way);
      const init = await dies.innerPid();
      const [payload] = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').split(' ');
      const answer = ask(fd);
      await new Promise((resolve) => setTimeout(resolve, 150));
      process.kill(Number(payload), 'SIGKILL');
      assert.equal(await answer, 'stays');
    });

  it('lets sockets of its own go on while it is held', async () => {
    const one = await serve('one', 'held', listener(), 'block', '1', 'own');
    assert.match(one.out, /^own$/m);
  });

  for (const how of ['copy', 'hidden']) {
    it(`holds a listener under another number, and one that cannot be looked at (${how})`, async () => {
      const fd = listener();
      const one = await serve('one', 'held', fd, 'level', '1', how);
      assert.equal(await ask(fd, 150), 'nobody');
      await tell(one, 'open');
      assert.equal(await ask(fd), 'one');
    });
  }

  for (const way of ['block', 'level']) {
    it(`is not mistaken for a forbidden call by ${way} when signals interrupt it all the time`, async () => {
      const fd = listener();
      const one = await serve('one', 'held', fd, way, '4', 'interrupted');
      const waiting = ask(fd, 20_000);
      await new Promise((resolve) => setTimeout(resolve, 500));
      await tell(one, 'open');
      assert.equal(await waiting, 'one');
      assert.deepEqual(await askOften(fd, 300, 4), { one: 300 });
      assert.deepEqual(one.events(), ['started', 'ready', 'gate']);
    });
  }

  it('still ends the payload at a forbidden call', async () => {
    for (const what of [
      ['call', '101'],
      ['thread-call', '101'],
    ]) {
      const one = startInit({
        directory: place.path,
        filter: compileFilter(place.path, 'native+gate'),
        options: ['--gate=open'],
        command: [payload('probe'), ...what],
      });
      running.push(one);
      assert.equal(await one.ended, 134, one.err);
      assert.equal(one.report('forbidden')?.call, 'ptrace');
    }
  });

  it('never executes a forbidden call that is interrupted again and again', async () => {
    const one = startInit({
      directory: place.path,
      filter: compileFilter(place.path, 'native+gate'),
      options: ['--gate=open'],
      command: [payload('probe'), 'evade', '101', '30'],
    });
    running.push(one);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    one.kill();
    await one.ended;
    assert.equal(one.out, '');
  });

  it('answers each time, and not at all without a gate or for what is no state', async () => {
    const one = await serve('one', 'open', listener(), 'level');
    await tell(one, 'open');
    await tell(one, 'open');
    await tell(one, 'held');
    const without = startInit({ directory: place.path, command: ['/bin/sleep', '1000'] });
    running.push(without);
    await without.until('start', () => without.events().includes('ready'));
    for (const [init, value] of [
      [without, 0],
      [one, 3],
      [one, -1],
    ] as const) {
      const fd = openProcess(await init.innerPid());
      queueSignal(fd, GATE_SIGNAL, value);
      closeSync(fd);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.deepEqual(without.events(), ['started', 'ready']);
    assert.equal(one.events().filter((event) => event === 'gate').length, 3);
  });

  it('takes changes in the order in which they were sent', async () => {
    const one = await serve('one', 'held', listener(), 'level');
    const init = openProcess(await one.innerPid());
    for (let n = 0; n < 30; n++) queueSignal(init, GATE_SIGNAL, n % 3);
    closeSync(init);
    await one.until('answers', () => one.events().filter((event) => event === 'gate').length === 30);
    const told = one.reports.filter(({ event }) => event === 'gate').map(({ gate }) => gate);
    assert.deepEqual(
      told,
      Array.from({ length: 30 }, (_, n) => GATES[n % 3]),
    );
  });

  it('costs some microseconds for each accept(2) while it is open, and opens within a few milliseconds', async () => {
    const cost = async (gate: boolean): Promise<number> => {
      const one = startInit({
        directory: place.path,
        filter: compileFilter(place.path, gate ? 'native+gate' : 'native'),
        options: ['--listen=one', ...(gate ? ['--gate=open'] : [])],
        descriptors: [listener()],
        command: [payload('acceptor'), 'cost', 'level', '1'],
      });
      running.push(one);
      await one.until('figure', () => one.out.includes('serving\n'), 20_000);
      return Number(/^cost (\d+)$/m.exec(one.out)?.[1]) / 1000;
    };
    const [without, open] = [await cost(false), await cost(true)];
    const fd = listener();
    const one = await serve('one', 'held', fd, 'level');
    const times: number[] = [];
    for (let n = 0; n < 30; n++) {
      const waiting = ask(fd, 20_000);
      await new Promise((resolve) => setTimeout(resolve, 30));
      const init = openProcess(await one.innerPid());
      const began = performance.now();
      queueSignal(init, GATE_SIGNAL, 0);
      await waiting;
      times.push(performance.now() - began);
      closeSync(init);
      await tell(one, 'held');
    }
    const middle = times.sort((a, b) => a - b)[15] ?? Number.NaN;
    process.stdout.write(
      `      accept(2) that finds nothing: ${without.toFixed(1)} us, with a gate ${open.toFixed(1)} us; ` +
        `from the signal to the answer of a connection that waits: median ${middle.toFixed(2)} ms\n`,
    );
    assert.ok(open - without < 500, `${open - without} us`);
    assert.ok(middle < 50, `${middle} ms`);
  });
});
