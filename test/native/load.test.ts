import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Account, ExactLoad } from '../support/exact-load.ts';
import { checkout, prepare } from './native-programs.ts';

const CONNECTIONS = 8;
const REQUESTS = 3000;
/** Of each so many requests one is treated so. Two of them never fall together below 3000. */
const RESET_EVERY = 50;
const CUT_EVERY = 61;
const BAD_EVERY = 67;
const BODY = 'x'.repeat(100);

/** An HTTP server that counts what it does to requests: the truth that loads are compared with. */
class Truth {
  answered = 0;
  reset = 0;
  cut = 0;
  bad = 0;
  readonly #server: Server;
  readonly #cuts: boolean;
  #count = 0;

  private constructor(server: Server, cuts: boolean) {
    this.#server = server;
    this.#cuts = cuts;
  }

  static async up(cuts: boolean): Promise<Truth> {
    const server = createServer();
    const truth = new Truth(server, cuts);
    server.on('connection', (socket) => truth.#serve(socket));
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0, backlog: 512 }, resolve));
    return truth;
  }

  get address(): string {
    const address = this.#server.address();
    assert.ok(address !== null && typeof address === 'object');
    return `127.0.0.1:${address.port}`;
  }

  get asked(): number {
    return this.#count;
  }

  down(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let received = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const head = received.slice(0, end);
        received = received.slice(end + 4);
        this.#answer(socket, !/connection: *close|HTTP\/1\.0/i.test(head));
      }
    });
  }

  #answer(socket: Socket, keep: boolean): void {
    this.#count += 1;
    if (this.#count % RESET_EVERY === 0) {
      this.reset += 1;
      socket.resetAndDestroy();
      return;
    }
    const bad = this.#count % BAD_EVERY === 0;
    const head = `HTTP/1.1 ${bad ? '500 Bad' : '200 OK'}\r\nContent-Length: ${BODY.length}\r\nConnection: ${keep ? 'keep-alive' : 'close'}\r\n\r\n`;
    if (this.#cuts && !bad && this.#count % CUT_EVERY === 0) {
      this.cut += 1;
      socket.end(head + BODY.slice(1));
      return;
    }
    if (bad) this.bad += 1;
    else this.answered += 1;
    socket.write(head + BODY);
    if (!keep) socket.end();
  }
}

/** A number of the output of a public load generator. */
function figure(text: string, pattern: RegExp): number {
  const found = pattern.exec(text);
  return found === null ? 0 : Number(found[1]);
}

describe('the load that accounts for each request', function () {
  this.timeout(120_000);
  let truth: Truth | undefined;

  before(function () {
    prepare.call(this);
    execFileSync(join(checkout, 'test/host/packages'), ['wrk', 'apache2-utils'], { stdio: 'ignore' });
  });
  afterEach(() => truth?.down());

  async function account(keepAlive: boolean): Promise<{ told: Account; server: Truth }> {
    truth = await Truth.up(true);
    const load = new ExactLoad({ to: truth.address, connections: CONNECTIONS, keepAlive, requests: REQUESTS });
    return { told: await load.finished(), server: truth };
  }

  for (const keepAlive of [false, true])
    it(`agrees with the server on every request, ${keepAlive ? 'with' : 'without'} keep-alive`, async () => {
      const { told, server } = await account(keepAlive);
      assert.equal(server.asked, REQUESTS);
      assert.deepEqual(
        [told.asked, told.good, told.resetBefore, told.closedWithin, told.wrong, told.lost],
        [REQUESTS, server.answered, server.reset, server.cut, server.bad, server.reset + server.cut + server.bad],
      );
      assert.ok(server.reset > 0 && server.cut > 0 && server.bad > 0);
    });

  it('agrees with ab, of as many requests on connections of their own', async () => {
    truth = await Truth.up(false);
    const words = ['-q', '-r', '-n', String(REQUESTS), '-c', String(CONNECTIONS), `http://${truth.address}/load`];
    const { stdout } = await promisify(execFile)('ab', words);
    const theirs = { failed: figure(stdout, /Receive: (\d+)/), bad: figure(stdout, /Non-2xx responses: +(\d+)/) };
    truth.down();
    truth = await Truth.up(false);
    const options = { to: truth.address, connections: CONNECTIONS, keepAlive: false, requests: REQUESTS };
    const ours = await new ExactLoad(options).finished();
    assert.deepEqual({ failed: ours.resetBefore, bad: ours.wrong }, theirs, stdout);
    assert.ok(ours.resetBefore > 0 && ours.wrong > 0);
  });

  it('agrees with wrk, of as many connections that stay open, on what of a server is lost', async () => {
    truth = await Truth.up(false);
    const words = ['-t', '1', '-c', String(CONNECTIONS), '-d', '2s', `http://${truth.address}/load`];
    const { stdout } = await promisify(execFile)('wrk', words);
    // What wrk has under way when it ends, it does not tell of.
    const near = (one: number, other: number) => Math.abs(one - other) <= CONNECTIONS;
    assert.ok(near(figure(stdout, /read (\d+)/), truth.reset), stdout);
    assert.ok(near(figure(stdout, /responses: (\d+)/), truth.bad), stdout);
    truth.down();
    truth = await Truth.up(false);
    const load = new ExactLoad({ to: truth.address, connections: CONNECTIONS, keepAlive: true });
    await load.more(1000);
    const ours = await load.stop();
    assert.deepEqual([ours.resetBefore, ours.wrong, ours.good], [truth.reset, truth.bad, truth.answered]);
    assert.ok(ours.resetBefore > 0 && ours.wrong > 0);
  });

  it('tells who is not there from who does not answer', async () => {
    const gone = await Truth.up(false);
    const nowhere = gone.address;
    gone.down();
    const refused = await new ExactLoad({ to: nowhere, connections: 2, keepAlive: false, requests: 4 }).finished();
    assert.deepEqual([refused.refused, refused.lost], [4, 4]);
    const missing = { to: 'unix:/nonexistent', connections: 1, keepAlive: true, requests: 2 };
    assert.equal((await new ExactLoad(missing).finished()).refused, 2);
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    assert.ok(address !== null && typeof address === 'object');
    const to = `127.0.0.1:${address.port}`;
    const late = await new ExactLoad({ to, connections: 2, keepAlive: true, requests: 2, timeoutMs: 300 }).finished();
    silent.close();
    assert.deepEqual([late.late, late.lost], [2, 2]);
  });
});
