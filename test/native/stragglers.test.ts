import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import {
  attachWeight,
  duplicate,
  listenTcp,
  listenUnix,
  pipe,
  queueLength,
  socketAddress,
} from '../../src/kernel/native.ts';
import { prepare, program } from './native-programs.ts';

const UID = 65534;

describe('plugin-stragglers', function () {
  this.timeout(20_000);
  before(prepare);

  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  /** An address with two listeners; the second one is served, and says who asks and what. */
  async function scene(host: string): Promise<{ port: number; left: number; server: Server }> {
    const left = listenTcp({ host, port: 0, backlog: 128, reusePort: true });
    ends.push(() => closeSync(left));
    const address = socketAddress(left);
    assert.ok(address.family !== 'unix');
    attachWeight(left, 0);
    const served = listenTcp({ host, port: address.port, backlog: 128, reusePort: true });
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => socket.end(`${socket.remoteAddress} ${String(data)}`));
    });
    server.listen({ fd: served });
    await once(server, 'listening');
    ends.push(() => server.close());
    return { port: address.port, left, server };
  }

  interface Running {
    readonly child: ChildProcess;
    /** The last number that it told. */
    count(): number;
    /** Nobody reads what it tells any more. */
    leave(): void;
    said(): string;
  }

  function start(listeners: readonly number[], connections = 100): Running {
    const { read, write } = pipe();
    const counts = new Socket({ fd: read, readable: true, writable: false });
    let [text, errors] = ['', ''];
    counts.on('data', (data) => {
      text += String(data);
    });
    const child = spawn(program('plugin-stragglers'), [`--uid=${UID}`, `--connections=${connections}`], {
      stdio: ['ignore', 'ignore', 'pipe', write, ...listeners],
      env: { LISTEN_FDS: String(listeners.length + 1) },
    });
    closeSync(write);
    child.stderr?.on('data', (data) => {
      errors += String(data);
    });
    ends.push(() => {
      child.kill('SIGKILL');
      counts.destroy();
    });
    return {
      child,
      count: () => Number(text.trim().split('\n').at(-1)),
      leave: () => counts.destroy(),
      said: () => errors,
    };
  }

  /** Connects and asks; what came until the end, or the error. */
  function ask(port: number, host: string, words = 'hello'): Promise<string> {
    return new Promise((resolve) => {
      let text = '';
      const socket = createConnection({ host, port }, () => socket.write(words));
      socket.on('data', (data) => {
        text += String(data);
      });
      socket.on('error', ({ message }) => resolve(message));
      socket.on('close', () => resolve(text));
      ends.push(() => socket.destroy());
    });
  }

  async function until(what: string, holds: () => boolean): Promise<void> {
    for (const began = Date.now(); !holds(); await pause(10)) assert.ok(Date.now() - began < 10_000, what);
  }

  for (const host of ['127.0.0.1', '::1', '0.0.0.0']) {
    it(`answers who waits at a queue of ${host} that nobody accepts from`, async () => {
      const { port, left } = await scene(host);
      const to = host === '0.0.0.0' ? '127.0.0.1' : host;
      const waiting = Array.from({ length: 20 }, (_, n) => ask(port, to, `hello ${n}`));
      await until('all wait', () => queueLength(left) === 20);
      // Who comes now is served at once.
      attachWeight(left, 100);
      assert.match(await ask(port, to), /hello/);
      const running = start([left]);
      for (const [n, answer] of (await Promise.all(waiting)).entries()) assert.equal(answer, `${to} hello ${n}`);
      await until('20 are told of', () => running.count() === 20);
      assert.equal(queueLength(left), 0);
      const status = readFileSync(`/proc/${running.child.pid}/status`, 'utf8');
      assert.match(status, new RegExp(`Uid:\\s+${UID}\\s+${UID}\\s+${UID}\\s`));
      assert.match(status, /CapEff:\s+0+\n[\s\S]*NoNewPrivs:\s+1\nSeccomp:\s+2/);
    });
  }

  it('does not let somebody who came to another address of the host seem to come from 127.0.0.1', async function () {
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((each) => each !== undefined && each.family === 'IPv4' && !each.internal)?.address;
    if (outside === undefined) this.skip();
    const { port, left } = await scene('0.0.0.0');
    const waiting = ask(port, outside);
    await until('it waits', () => queueLength(left) === 1);
    attachWeight(left, 100);
    start([left]);
    assert.equal(await waiting, `${outside} hello`);
  });

  it('closes its sockets and ends with its last connection when nobody reads its counts, and on SIGTERM', async () => {
    for (const how of ['left', 'SIGTERM'] as const) {
      const { port, left, server } = await scene('127.0.0.1');
      let open: Socket | undefined;
      server.removeAllListeners('connection');
      server.on('connection', (socket: Socket) => {
        open = socket.on('data', (data) => socket.write(data)).on('error', () => {});
      });
      const client = createConnection({ host: '127.0.0.1', port });
      await until('it waits', () => queueLength(left) === 1);
      attachWeight(left, 100);
      const running = start([left]);
      await until('it is connected', () => open !== undefined);
      const exited = once(running.child, 'exit');
      if (how === 'left') running.leave();
      else running.child.kill('SIGTERM');
      // Both ends of the connection, and standard error.
      await until('its listener is closed', () => socketsOf(running.child.pid ?? 0) === 3);
      client.write('still there');
      const [echo] = (await once(client, 'data')) as [Buffer];
      assert.equal(String(echo), 'still there');
      client.end();
      open?.end();
      assert.deepEqual(await exited, [0, null]);
    }
  });

  it('ends who waits at a Unix socket, whose peer would be taken for it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'bulkhead-stragglers-'));
    ends.push(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'x.sock');
    const left = listenUnix({ path, backlog: 5, mode: 0o600 });
    ends.push(() => closeSync(left));
    const client = createConnection(path);
    client.on('error', () => {});
    await once(client, 'connect');
    const closed = once(client, 'close');
    const running = start([left]);
    await closed;
    await until('it is told of', () => running.count() === 1);
    assert.match(running.said(), /who waits at a Unix socket is not forwarded/);
  });

  it('takes no more connections at once than it may, and the others after that', async () => {
    const { port, left } = await scene('127.0.0.1');
    const waiting = Array.from({ length: 30 }, (_, n) => ask(port, '127.0.0.1', `hello ${n}`));
    await until('all wait', () => queueLength(left) === 30);
    attachWeight(left, 100);
    start([left], 3);
    for (const [n, answer] of (await Promise.all(waiting)).entries()) assert.equal(answer, `127.0.0.1 hello ${n}`);
  });

  it('refuses what it cannot work with', async () => {
    const { read, write } = pipe();
    const plain = duplicate(read);
    ends.push(() => [read, write, plain].forEach(closeSync));
    for (const [words, fds, says] of [
      [[], [write, plain], /usage/],
      [['--uid=1', '--connections=0'], [write, plain], /usage/],
      [['--uid=1', '--connections=9'], [write], /from 1 to 64 listening sockets/],
      [['--uid=1', '--connections=9'], [write, plain], /descriptor 4 is not a listening socket/],
    ] as const) {
      const child = spawn(program('plugin-stragglers'), words, {
        stdio: ['ignore', 'ignore', 'pipe', ...fds],
        env: { LISTEN_FDS: String(fds.length) },
      });
      let errors = '';
      child.stderr?.on('data', (data) => {
        errors += String(data);
      });
      const [status] = (await once(child, 'close')) as [number];
      assert.equal(status, 1);
      assert.match(errors, says);
    }
  });
});

/** How many sockets the process has. */
function socketsOf(pid: number): number {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((fd) => readlinkSync(`${directory}/${fd}`).startsWith('socket:')).length;
}
