import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listenTcp, socketAddress } from '../../../src/kernel/native.ts';
import { ExactLoad } from '../../support/exact-load.ts';

const EXAMPLES = resolve('templates/examples');
const CONNECTIONS = 64;
const REQUESTS = 10_000;

/** Several processes of one example on one listening socket, as the sandboxes of a pool are, but not in sandboxes. */
class Pool {
  readonly listener: number;
  readonly port: number;
  readonly processes: ChildProcess[] = [];

  constructor() {
    this.listener = listenTcp({ host: '127.0.0.1', port: 0, backlog: 512, reusePort: false });
    const address = socketAddress(this.listener);
    assert.ok(address.family === 'inet');
    this.port = address.port;
  }

  start(program: string, args: readonly string[]): ChildProcess {
    // The examples are packaged as they are: Python is to leave nothing beside them.
    const environment = { PATH: '/usr/bin', LISTEN_FDS: '1', LISTEN_PID: '0', PYTHONDONTWRITEBYTECODE: '1' };
    const started = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit', this.listener], env: environment });
    this.processes.push(started);
    return started;
  }

  /** Exit statuses after SIGTERM. */
  async stop(): Promise<(number | null)[]> {
    return Promise.all(
      this.processes.map(async (each) => {
        if (each.exitCode === null && each.signalCode === null) {
          each.kill('SIGTERM');
          await once(each, 'exit');
        }
        return each.exitCode;
      }),
    );
  }

  release(): void {
    for (const each of this.processes) each.kill('SIGKILL');
    closeSync(this.listener);
  }
}

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
  readonly connection: string | undefined;
}

function ask(port: number, agent: Agent | undefined, body = ''): Promise<Answer> {
  return new Promise((done, failed) => {
    const sent = request(
      { host: '127.0.0.1', port, agent: agent ?? false, method: body === '' ? 'GET' : 'POST', path: '/x' },
      (got) => {
        let text = '';
        got.setEncoding('utf8');
        got.on('data', (part: string) => {
          text += part;
        });
        got.on('end', () => done({ status: got.statusCode, body: text, connection: got.headers.connection }));
        got.on('error', failed);
      },
    );
    sent.on('error', failed);
    if (body !== '') sent.setHeader('Content-Length', Buffer.byteLength(body));
    sent.end(body);
  });
}

/** Sends bytes on a connection of its own and returns everything that comes until the other side ends it. */
async function talk(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(parts).toString();
}

/** Sends requests over that many connections at once; returns the process ids in the answers, and what failed. */
async function load(port: number, agent: Agent | undefined, requests: number) {
  const pids = new Map<string, number>();
  const failures: string[] = [];
  let left = requests;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (left-- > 0) {
        try {
          const { status, body } = await ask(port, agent);
          const pid = /pid (\d+)\n$/.exec(body)?.[1];
          if (status !== 200 || pid === undefined) failures.push(`${status} ${body}`);
          else pids.set(pid, (pids.get(pid) ?? 0) + 1);
        } catch (error) {
          failures.push(String(error));
        }
      }
    }),
  );
  return { pids, failures };
}

describe('the shipped examples, on a shared listening socket', function () {
  this.timeout(120_000);
  let scratch: string;
  let pool: Pool;

  before(() => {
    scratch = mkdtempSync(join(tmpdir(), 'bulkhead-examples-'));
    // Not where it is: the checkout's package.json would make an ES module of it.
    for (const file of ['main.js', 'activity.js'])
      copyFileSync(join(EXAMPLES, 'hello-node', file), join(scratch, file));
    // The line that the program's own comment gives.
    execFileSync('cc', [
      '-O2',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-static',
      '-o',
      join(scratch, 'main'),
      join(EXAMPLES, 'hello-c/main.c'),
    ]);
  });
  after(() => rmSync(scratch, { recursive: true }));

  const examples: Record<string, () => [string, string[]]> = {
    'hello-python': () => ['python3', [join(EXAMPLES, 'hello-python/main.py')]],
    'hello-node': () => [process.execPath, [join(scratch, 'main.js')]],
    'hello-c': () => [join(scratch, 'main'), []],
  };

  for (const [name, command] of Object.entries(examples)) {
    describe(name, () => {
      const start = () => pool.start(...command());
      beforeEach(async () => {
        pool = new Pool();
        start();
        await ask(pool.port, undefined);
      });
      afterEach(() => pool.release());

      it(`answers ${REQUESTS} requests over ${CONNECTIONS} connections that stay open`, async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
        const { failures } = await load(pool.port, agent, REQUESTS);
        agent.destroy();
        assert.deepEqual(failures, []);
        assert.deepEqual(await pool.stop(), [0]);
      });

      it('shares connections with another one, and loses none when one of them is asked to stop', async () => {
        start();
        await sleep(500);
        const running = load(pool.port, undefined, 3000);
        await sleep(200);
        pool.processes[0]?.kill('SIGTERM');
        const { pids, failures } = await running;
        assert.deepEqual(failures, []);
        assert.equal(pids.size, 2);
        assert.deepEqual(await pool.stop(), [0, 0]);
      });

      it('ends open connections with Connection: close when it is asked to stop', async () => {
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        assert.equal((await ask(pool.port, agent)).connection, 'keep-alive');
        const stopped = pool.stop();
        await sleep(100);
        assert.deepEqual(await ask(pool.port, agent).then(({ status, connection }) => ({ status, connection })), {
          status: 200,
          connection: 'close',
        });
        assert.deepEqual(await stopped, [0]);
        agent.destroy();
      });

      it('takes who waits in the queue already when it is asked to stop', async () => {
        const [only] = pool.processes;
        assert.ok(only !== undefined);
        const ended = once(only, 'exit');
        only.kill('SIGSTOP');
        const waiting = Array.from({ length: 20 }, () => ask(pool.port, undefined));
        await sleep(200);
        only.kill('SIGTERM');
        only.kill('SIGCONT');
        for (const { status } of await Promise.all(waiting)) assert.equal(status, 200);
        // It is not asked twice: an interpreter on its way out has let go of its handlers.
        assert.deepEqual(await ended, [0, null]);
      });

      it('leaves connections that rest to their clients, and ends with the last of them', async () => {
        const silent = connect(pool.port, '127.0.0.1');
        await once(silent, 'connect');
        const agent = new Agent({ keepAlive: true, maxSockets: 1 });
        await ask(pool.port, agent);
        const stopped = pool.stop();
        await sleep(1500);
        assert.equal((await ask(pool.port, agent)).connection, 'close');
        assert.equal(pool.processes[0]?.exitCode, null);
        silent.destroy();
        assert.deepEqual(await stopped, [0]);
        agent.destroy();
      });

      it('loses no request of clients that pause for seconds, when others take over from it', async () => {
        const to = `127.0.0.1:${pool.port}`;
        const load = new ExactLoad({ to, connections: 100, keepAlive: true, thinkMs: [100, 2000] });
        try {
          for (let swap = 0; swap < 2; swap++) {
            const before = pool.processes.at(-1);
            start();
            await sleep(800);
            before?.kill('SIGTERM');
            await load.more(100);
            await sleep(1500);
          }
          const account = await load.stop();
          // One that was ended while it rested would have been lost, had its client asked in that moment.
          assert.deepEqual({ lost: account.lost, idleEnds: account.idleEnds }, { lost: 0, idleEnds: 0 });
          assert.deepEqual(await pool.stop(), [0, 0, 0]);
        } finally {
          load.release();
        }
      });

      it('takes bodies, several requests in one packet, and one in several', async () => {
        assert.match((await ask(pool.port, undefined, 'x'.repeat(10_000))).body, /POST \/x, 10000 bytes/);
        const two = await talk(
          pool.port,
          'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
        );
        assert.match(two, /GET \/1, 0 bytes[\s\S]*GET \/2, 0 bytes/);
        const socket = connect(pool.port, '127.0.0.1');
        for (const part of ['GET /slow HT', 'TP/1.1\r\nHost: a\r\nConnection: close\r', '\n\r', '\n']) {
          socket.write(part);
          await sleep(20);
        }
        const [answered] = (await once(socket, 'data')) as [Buffer];
        assert.match(answered.toString(), /^HTTP\/1\.1 200 OK/);
        socket.destroy();
      });

      it('refuses what is no request, and goes on', async () => {
        assert.match(await talk(pool.port, 'nonsense\r\n\r\n'), /^HTTP\/1\.1 400 /);
        assert.equal((await ask(pool.port, undefined)).status, 200);
      });
    });
  }
});
