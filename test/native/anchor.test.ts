import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { messages, prepare, program, type Running, scratch, startSink, startWithRun } from './native-programs.ts';

const INVOCATION = '0123456789abcdef0123456789abcdef';

/** The supervisor's side of anchor.sock. */
class Supervisor {
  readonly lines: string[] = [];
  readonly connections: Socket[] = [];
  #server: Server | undefined;
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async start(): Promise<void> {
    const server = createServer((socket) => {
      this.connections.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (chunk: Buffer) => this.lines.push(...chunk.toString().split('\n').slice(0, -1)));
    });
    this.#server = server;
    await new Promise<void>((settle) => server.listen(this.#path, settle));
  }

  say(text: string | Buffer): void {
    this.connections.at(-1)?.write(text);
  }

  stop(): void {
    this.#server?.close();
    for (const socket of this.connections) socket.destroy();
    rmSync(this.#path, { force: true });
  }
}

describe('plugin-anchor', function () {
  this.timeout(20_000);
  let place: ReturnType<typeof scratch>;
  let supervisor: Supervisor;
  let systemd: Running;
  const running: Running[] = [];
  before(prepare);
  beforeEach(async () => {
    place = scratch();
    supervisor = new Supervisor(join(place.path, 'anchor.sock'));
    systemd = await startSink(join(place.path, 'notify'));
    running.push(systemd);
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    supervisor.stop();
    place.remove();
  });

  function start(environment: Record<string, string> = {}): Running {
    const anchor = startWithRun(place.path, [program('plugin-anchor')], {
      NOTIFY_SOCKET: join(place.path, 'notify'),
      INVOCATION_ID: INVOCATION,
      ...environment,
    });
    running.push(anchor);
    return anchor;
  }

  async function connected(): Promise<Running> {
    await supervisor.start();
    const anchor = start();
    await hears(anchor, `hello 1 ${INVOCATION}`);
    return anchor;
  }

  /** Waits for the n-th line of that text to reach the supervisor. */
  async function hears(anchor: Running, line: string, times = 1): Promise<void> {
    await anchor.until(
      `'${line}' x ${times} in ${supervisor.lines}`,
      () => supervisor.lines.filter((one) => one === line).length >= times,
    );
  }

  async function shows(message: string): Promise<void> {
    await systemd.until(`'${message}'`, () => messages(systemd).includes(message));
  }

  it('says hello with its invocation, and relays status and readiness', async () => {
    await connected();
    supervisor.say('status 1/2 ready, v1\nready\nstatus 2/2 ready, vö1\n');
    await shows('STATUS=2/2 ready, vö1');
    assert.deepEqual(messages(systemd), ['STATUS=1/2 ready, v1', 'READY=1', 'STATUS=2/2 ready, vö1']);
  });

  it('takes lines in pieces, and many at once', async () => {
    await connected();
    for (const piece of ['sta', 'tus one', '\nread', 'y\n']) {
      supervisor.say(piece);
      await new Promise((settle) => setTimeout(settle, 20));
    }
    await shows('READY=1');
    supervisor.say(Array.from({ length: 200 }, (_, i) => `status ${i}\n`).join(''));
    await shows('STATUS=199');
    assert.equal(messages(systemd).length, 202);
  });

  it('stops when the supervisor has stopped everything', async () => {
    const anchor = await connected();
    process.kill(await anchor.innerPid(), 'SIGTERM');
    await hears(anchor, 'stop');
    supervisor.say('status stopping, 1 left\n');
    await shows('STATUS=stopping, 1 left');
    supervisor.say('stopped\n');
    assert.equal(await anchor.ended, 0, anchor.err);
    assert.equal(supervisor.lines.filter((line) => line === 'stop').length, 1);
  });

  it('reloads', async () => {
    const anchor = await connected();
    process.kill(await anchor.innerPid(), 'SIGHUP');
    await hears(anchor, 'reload');
    supervisor.say('reloading\n');
    await systemd.until('RELOADING', () => /^RELOADING=1 \| MONOTONIC_USEC=\d+$/m.test(systemd.out));
    const usec = Number(/MONOTONIC_USEC=(\d+)/.exec(systemd.out)?.[1]);
    const now = Number(process.hrtime.bigint() / 1000n);
    assert.ok(now - usec >= 0 && now - usec < 5_000_000, `${usec} is not of the last 5 s (${now})`);
    supervisor.say('ready\n');
    await shows('READY=1');
  });

  it('fails with the reason', async () => {
    const anchor = await connected();
    supervisor.say('failed BH304 the plugin keeps dying: exit 3\n');
    assert.equal(await anchor.ended, 1);
    await shows('STATUS=BH304 the plugin keeps dying: exit 3');
    assert.match(anchor.err, /^BH304 the plugin keeps dying: exit 3$/m);
  });

  it('waits for a supervisor that is not there yet', async () => {
    const anchor = start();
    await shows('STATUS=the supervisor is away');
    await supervisor.start();
    await hears(anchor, `hello 1 ${INVOCATION}`);
  });

  it('connects again when the supervisor restarts, and shows that it was away', async () => {
    const anchor = await connected();
    supervisor.say('status 2/2 ready\n');
    await shows('STATUS=2/2 ready');
    for (let round = 2; round < 5; round++) {
      supervisor.stop();
      await systemd.until(
        'note',
        () =>
          messages(systemd).filter((one) => one === 'STATUS=2/2 ready (the supervisor is away)').length >= round - 1,
      );
      await supervisor.start();
      await hears(anchor, `hello 1 ${INVOCATION}`, round);
      await systemd.until(
        'return',
        () => messages(systemd).filter((one) => one === 'STATUS=2/2 ready').length >= round,
      );
    }
  });

  it('asks again for what was asked while the supervisor was away', async () => {
    const anchor = await connected();
    supervisor.stop();
    await systemd.until('note', () => systemd.out.includes('away'));
    const pid = await anchor.innerPid();
    process.kill(pid, 'SIGHUP');
    process.kill(pid, 'SIGTERM');
    await new Promise((settle) => setTimeout(settle, 300));
    await supervisor.start();
    await hears(anchor, 'stop');
    assert.deepEqual(supervisor.lines.slice(-3), [`hello 1 ${INVOCATION}`, 'reload', 'stop']);
    supervisor.say('stopped\n');
    assert.equal(await anchor.ended, 0);
  });

  it('gives up a stop after 5 s without a supervisor', async () => {
    const anchor = start();
    await shows('STATUS=the supervisor is away');
    const begin = Date.now();
    process.kill(await anchor.innerPid(), 'SIGTERM');
    assert.equal(await anchor.ended, 0);
    const waited = Date.now() - begin;
    assert.ok(waited > 4500 && waited < 7000, `${waited} ms`);
  });

  const malformed: { what: string; bytes: string | Buffer }[] = [
    { what: 'an unknown word', bytes: 'restart\n' },
    { what: 'an empty line', bytes: '\n' },
    { what: 'a word with something after it', bytes: 'ready now\n' },
    { what: 'a failure without code', bytes: 'failed something\n' },
    { what: 'a failure without text', bytes: 'failed BH304 \n' },
    { what: 'a NUL', bytes: Buffer.from('status a\0b\n') },
    { what: 'a control character', bytes: 'status a\x1b[2J\n' },
    { what: 'a byte that is not UTF-8', bytes: Buffer.from([...Buffer.from('status '), 0xe4, 0x0a]) },
    { what: 'a line that is too long', bytes: `status ${'x'.repeat(4100)}\n` },
    { what: 'bytes without a line', bytes: 'x'.repeat(10_000) },
  ];
  for (const { what, bytes } of malformed) {
    it(`ends the connection after ${what}, and makes a new one`, async () => {
      const anchor = await connected();
      supervisor.say(bytes);
      await hears(anchor, `hello 1 ${INVOCATION}`, 2);
      supervisor.say('status well\n');
      await shows('STATUS=well');
      assert.ok(!messages(systemd).some((one) => one.startsWith('READY') || one.includes('\x1b')), systemd.out);
    });
  }

  it('takes the longest line', async () => {
    await connected();
    const text = 'x'.repeat(4096 - 'status '.length);
    supervisor.say(`status ${text}\n`);
    await shows(`STATUS=${text}`);
  });

  it('survives random lines', async () => {
    const anchor = await connected();
    for (let i = 0; i < 15; i++) {
      const bytes = Array.from({ length: Math.floor(Math.random() * 300) }, () => Math.floor(Math.random() * 256));
      supervisor.say(Buffer.from([...Buffer.from(['status ', 'failed ', ''][i % 3] as string), ...bytes, 0x0a]));
      await hears(anchor, `hello 1 ${INVOCATION}`, supervisor.connections.length);
      await new Promise((settle) => setTimeout(settle, 120));
      assert.equal(anchor.child.exitCode, null, anchor.err);
    }
    await anchor.until(
      'connection',
      () => supervisor.lines.filter((line) => line.startsWith('hello')).length === supervisor.connections.length,
    );
    supervisor.say('status well\n');
    await shows('STATUS=well');
  });

  it('does not run without systemd', async () => {
    for (const environment of [
      { NOTIFY_SOCKET: '' },
      { NOTIFY_SOCKET: 'relative' },
      { INVOCATION_ID: 'short' },
      { INVOCATION_ID: 'x'.repeat(32) },
    ]) {
      const anchor = start(environment);
      assert.equal(await anchor.ended, 1);
      assert.match(anchor.err, /only systemd can start it/);
    }
  });
});
