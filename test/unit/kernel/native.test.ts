import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure } from '../../../src/base/failure.ts';
import {
  addonCandidates,
  duplicate,
  isListening,
  listenTcp,
  listenUnix,
  peerCredentials,
  pipe,
  SystemCallFailure,
  sendDatagram,
  sendWithFds,
  setCloexec,
  socketAddress,
} from '../../../src/kernel/native.ts';
import { descriptorOf } from '../../native/descriptor-of.ts';
import { messages, prepare, startSink, tool } from '../../native/native-programs.ts';

describe('native addon', function () {
  this.timeout(10_000);
  let directory: string;
  const open: number[] = [];
  before(prepare);
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-addon-'));
  });
  afterEach(() => {
    for (const fd of open.splice(0)) closeSync(fd);
    rmSync(directory, { recursive: true });
  });

  function kept(fd: number): number {
    open.push(fd);
    return fd;
  }

  /** Flags of a descriptor as fdinfo has them; O_CLOEXEC and O_NONBLOCK are among them. */
  function flags(fd: number): number {
    return Number.parseInt(/flags:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '', 8);
  }
  const CLOEXEC = 0o2000000;
  const NONBLOCK = 0o4000;

  function fails(call: () => unknown, name: string, words: RegExp): void {
    assert.throws(call, (error: unknown) => {
      assert.ok(error instanceof SystemCallFailure && error instanceof Failure);
      assert.equal(error.code, 'BH601');
      assert.equal(error.errnoName, name);
      assert.match(error.message, words);
      return true;
    });
  }

  for (const [host, family] of [
    ['127.0.0.1', 'inet'],
    ['0.0.0.0', 'inet'],
    ['::1', 'inet6'],
    ['::', 'inet6'],
  ] as const) {
    it(`listens on ${host}`, async () => {
      const fd = kept(listenTcp({ host, port: 0, backlog: 7, reusePort: false }));
      const address = socketAddress(fd);
      assert.ok(address.family === family && address.host === host && address.port > 0, JSON.stringify(address));
      assert.equal(isListening(fd), true);
      assert.equal(flags(fd) & (CLOEXEC | NONBLOCK), CLOEXEC);
      const socket = createConnection({
        host: host === '::' ? '::1' : host === '0.0.0.0' ? '127.0.0.1' : host,
        port: address.port,
      });
      await new Promise<void>((settle, fail) => socket.on('connect', settle).on('error', fail));
      socket.destroy();
    });
  }

  it('refuses IPv4 on :: unless it is asked for', async () => {
    const connect = (port: number) =>
      new Promise<string>((settle) => {
        const socket: Socket = createConnection({ host: '127.0.0.1', port });
        const end = (word: string) => {
          socket.destroy();
          settle(word);
        };
        socket.on('connect', () => end('connected')).on('error', () => end('refused'));
      });
    for (const [v6only, word] of [
      [undefined, 'refused'],
      [true, 'refused'],
      [false, 'connected'],
    ] as const) {
      const fd = kept(
        listenTcp({ host: '::', port: 0, backlog: 1, reusePort: false, ...(v6only === undefined ? {} : { v6only }) }),
      );
      const address = socketAddress(fd);
      assert.ok(address.family === 'inet6');
      assert.equal(await connect(address.port), word, String(v6only));
    }
  });

  it('shares a port only with reusePort', () => {
    const first = socketAddress(kept(listenTcp({ host: '127.0.0.1', port: 0, backlog: 1, reusePort: true })));
    assert.ok(first.family === 'inet');
    kept(listenTcp({ host: '127.0.0.1', port: first.port, backlog: 1, reusePort: true }));
    fails(
      () => listenTcp({ host: '127.0.0.1', port: first.port, backlog: 1, reusePort: false }),
      'EADDRINUSE',
      /listen on 127\.0\.0\.1:\d+: EADDRINUSE \(98\)/,
    );
  });

  it('says what is wrong with an address', () => {
    fails(() => listenTcp({ host: 'localhost', port: 0, backlog: 1, reusePort: false }), 'EINVAL', /localhost:0/);
    fails(() => listenTcp({ host: '::1', port: 65536, backlog: 1, reusePort: false }), 'EINVAL', /\[::1\]:65536/);
    fails(
      () => listenTcp({ host: '192.0.2.1', port: 0, backlog: 1, reusePort: false }),
      'EADDRNOTAVAIL',
      /192\.0\.2\.1/,
    );
    fails(() => listenUnix({ path: 'relative', backlog: 1, mode: 0o600 }), 'EINVAL', /'relative'/);
    fails(() => listenUnix({ path: `/${'x'.repeat(108)}`, backlog: 1, mode: 0o600 }), 'EINVAL', /xxx/);
    fails(() => listenUnix({ path: '/nonexistent/x', backlog: 1, mode: 0o600 }), 'ENOENT', /nonexistent/);
    fails(() => listenUnix({ path: join(directory, 'x'), backlog: 1, mode: 0o1777 }), 'EINVAL', /x/);
    assert.equal(existsSync(join(directory, 'x')), false);
  });

  for (const mode of [0o600, 0o660, 0o666, 0o777, 0]) {
    it(`makes a socket file of mode ${mode.toString(8)}, whatever the umask`, () => {
      const path = join(directory, 'socket');
      const before = process.umask(0o077);
      try {
        const fd = kept(listenUnix({ path, backlog: 3, mode }));
        assert.equal(statSync(path).mode & 0o7777, mode);
        assert.deepEqual(socketAddress(fd), { family: 'unix', path });
        assert.equal(isListening(fd), true);
        assert.equal(flags(fd) & (CLOEXEC | NONBLOCK), CLOEXEC);
        fails(() => listenUnix({ path, backlog: 3, mode }), 'EADDRINUSE', /socket/);
        assert.equal(statSync(path).mode & 0o7777, mode);
      } finally {
        process.umask(before);
      }
    });
  }

  it('makes pipes that do not block and are not inherited', () => {
    const { read, write } = pipe();
    kept(read);
    kept(write);
    for (const fd of [read, write]) assert.equal(flags(fd) & (CLOEXEC | NONBLOCK), CLOEXEC | NONBLOCK);
    writeSync(write, 'through');
    const buffer = Buffer.alloc(16);
    assert.equal(buffer.subarray(0, readSync(read, buffer)).toString(), 'through');
    assert.throws(() => readSync(read, buffer), { code: 'EAGAIN' });
  });

  it('copies descriptors and sets their flag', () => {
    const { read, write } = pipe();
    kept(read);
    kept(write);
    const copy = kept(duplicate(read));
    assert.ok(copy > 2 && copy !== read);
    assert.equal(fstatSync(copy).ino, fstatSync(read).ino);
    assert.equal(flags(copy) & CLOEXEC, CLOEXEC);
    setCloexec(copy, false);
    assert.equal(flags(copy) & CLOEXEC, 0);
    setCloexec(copy, true);
    assert.equal(flags(copy) & CLOEXEC, CLOEXEC);
    fails(() => duplicate(-1), 'EBADF', /descriptor -1/);
    fails(() => setCloexec(9999, true), 'EBADF', /9999/);
  });

  it('tells sockets from other files', () => {
    const { read, write } = pipe();
    kept(read);
    kept(write);
    fails(() => isListening(read), 'ENOTSOCK', /SO_ACCEPTCONN/);
    fails(() => socketAddress(read), 'ENOTSOCK', /getsockname/);
    fails(() => peerCredentials(write), 'ENOTSOCK', /SO_PEERCRED/);
  });

  it('knows who is at the other end, and that a connection does not listen', async () => {
    const path = join(directory, 'socket');
    const server = createServer().listen(path);
    await new Promise<void>((settle) => server.on('listening', settle));
    const client = createConnection(path);
    const socket = await new Promise<Socket>((settle) => server.on('connection', settle));
    assert.deepEqual(peerCredentials(descriptorOf(socket)), {
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    assert.equal(isListening(descriptorOf(socket)), false);
    assert.deepEqual(socketAddress(descriptorOf(client)), { family: 'unix', path: '' });
    assert.equal(sendWithFds(descriptorOf(socket), Buffer.from('plain'), []), 5);
    const heard = await new Promise<string>((settle) =>
      client.once('data', (chunk: Buffer) => settle(chunk.toString())),
    );
    assert.equal(heard, 'plain');
    fails(() => sendWithFds(descriptorOf(socket), Buffer.from('x'), [9999]), 'EBADF', /sendmsg/);
    client.destroy();
    socket.destroy();
    server.close();
  });

  it('says that a descriptor was lost which this process has no room for', async () => {
    const path = join(directory, 'socket');
    const server = createServer().listen(path);
    await new Promise<void>((settle) => server.on('listening', settle));
    server.on('connection', (socket) => sendWithFds(descriptorOf(socket), Buffer.from('with one'), [0]));
    const script = `
      const { openSync, writeSync } = require('node:fs');
      const addon = require(process.argv[1]);
      const socket = addon.connectUnix(process.argv[2]);
      try { for (;;) openSync('/dev/null'); } catch (error) { if (error.code !== 'EMFILE') throw error; }
      let got;
      do got = addon.receive(socket, Buffer.alloc(100), new Int32Array(65)); while (got === -11);
      writeSync(1, String(got));`;
    const limited = ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath, '-e', script, tool('bulkhead.node'), path];
    const said = await new Promise<string>((settle, fail) =>
      execFile('bash', limited, { timeout: 8000 }, (error, out) => (error === null ? settle(out) : fail(error))),
    );
    server.close();
    // -E2BIG
    assert.equal(said, '-7');
  });

  it('sends datagrams to a path and to an abstract name', async () => {
    const path = join(directory, 'notify');
    const sink = await startSink(path);
    const { read, write } = pipe();
    kept(read);
    kept(write);
    sendDatagram(path, Buffer.from('READY=1\nSTATUS=ä'));
    sendDatagram(path, Buffer.from('FDSTORE=1'), [read, write]);
    await sink.until('messages', () => messages(sink).length === 2);
    assert.deepEqual(messages(sink), ['READY=1 | STATUS=ä', 'FDSTORE=1']);
    sink.kill();
    await sink.ended;
    fails(() => sendDatagram(path, Buffer.from('x')), 'ECONNREFUSED', /notify/);
    fails(() => sendDatagram('@bulkhead-test-nobody', Buffer.from('x')), 'ECONNREFUSED', /@bulkhead-test-nobody/);
    fails(() => sendDatagram('nothing', Buffer.from('x')), 'EINVAL', /nothing/);
    fails(() => sendDatagram(`/${'x'.repeat(200)}`, Buffer.from('x')), 'EINVAL', /xxx/);
  });

  it('says that a queue is full instead of waiting', async () => {
    const path = join(directory, 'notify');
    const sink = await startSink(path);
    process.kill(sink.child.pid ?? 0, 'SIGSTOP');
    fails(
      () => {
        for (let i = 0; i < 100_000; i++) sendDatagram(path, Buffer.from('x'));
      },
      'EAGAIN',
      /notify/,
    );
    sink.kill();
    await sink.ended;
  });

  it('takes the largest datagram and refuses a larger one', () => {
    fails(() => sendDatagram('/dev/null', Buffer.alloc(1)), 'ECONNREFUSED', /dev\/null/);
    const path = join(directory, 'large');
    return startSink(path).then(async (sink) => {
      fails(() => sendDatagram(path, Buffer.alloc(16 * 1024 * 1024)), 'EMSGSIZE', /large/);
      sink.kill();
      await sink.ended;
    });
  });

  it('throws a TypeError for arguments of a wrong type', () => {
    const wrong: (() => unknown)[] = [
      () => sendDatagram(1 as unknown as string, Buffer.alloc(1)),
      () => sendDatagram('/a\0b', Buffer.alloc(1)),
      () => sendDatagram(`/${'x'.repeat(5000)}`, Buffer.alloc(1)),
      () => sendDatagram('/a', 'text' as unknown as Uint8Array),
      () => sendDatagram('/a', new Uint16Array(1) as unknown as Uint8Array),
      () => sendDatagram('/a', Buffer.alloc(1), 3 as unknown as number[]),
      () => sendDatagram('/a', Buffer.alloc(1), ['3'] as unknown as number[]),
      () => sendDatagram('/a', Buffer.alloc(1), new Array(254).fill(0)),
      () => duplicate(1.5),
      () => duplicate(2 ** 40),
      () => duplicate(Number.NaN),
      () => setCloexec(0, 1 as unknown as boolean),
      () => listenTcp(undefined as unknown as Parameters<typeof listenTcp>[0]),
      () => listenTcp({ host: '::1', port: 0, backlog: 1 } as unknown as Parameters<typeof listenTcp>[0]),
      () => listenUnix('x' as unknown as Parameters<typeof listenUnix>[0]),
    ];
    for (const call of wrong) assert.throws(call, TypeError, call.toString());
  });

  it('is looked for in a fixed order', () => {
    const checkout = join(directory, 'checkout');
    const module = pathToFileURL(join(checkout, 'build', 'js', 'src', 'kernel', 'native.js')).href;
    const there = join(checkout, 'build', 'js', 'src', 'kernel', 'bulkhead.node');
    assert.deepEqual(addonCandidates({ BULKHEAD_ADDON: '/a/b.node' }, module, '/x/y.js'), ['/a/b.node']);
    assert.deepEqual(addonCandidates({}, module, '/x/y.js'), [there, '/x/bulkhead.node']);
    assert.deepEqual(addonCandidates({ BULKHEAD_ADDON: '' }, module, undefined), [there]);
    assert.deepEqual(addonCandidates({}, pathToFileURL('/usr/lib/bulkhead/bulkheadd.mjs').href, undefined), [
      '/usr/lib/bulkhead/bulkhead.node',
    ]);
    writeFileSync(join(directory, 'native'), 'not a directory');
    assert.deepEqual(addonCandidates({}, module, undefined), [there]);
  });
});
