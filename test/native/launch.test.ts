import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { peerCredentials, sendWithFds } from '../../src/kernel/native.ts';
import { descriptorOf } from './descriptor-of.ts';
import { payload, prepare, program, type Running, scratch, startWithRun, stateOf } from './native-programs.ts';

describe('plugin-launch', function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  let server: Server | undefined;
  const running: Running[] = [];
  const open: number[] = [];
  const sockets = new Set<Socket>();
  before(prepare);
  beforeEach(() => {
    place = scratch();
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server?.close();
    for (const fd of open.splice(0)) closeSync(fd);
    place.remove();
  });

  /** A supervisor that calls `answer` for each line that it is sent. */
  async function serve(answer: (socket: Socket, line: string, count: number) => void): Promise<void> {
    let count = 0;
    const made = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => sockets.delete(socket));
      socket.on('data', (chunk: Buffer) => answer(socket, chunk.toString(), ++count));
    });
    server = made;
    await new Promise<void>((settle) => made.listen(join(place.path, 'launch.sock'), settle));
  }

  function launch(
    argv: readonly string[] = ['plugin-x-a-g1.service', '--', payload('probe'), 'state', 'word'],
    environment: Record<string, string> = {},
  ): Running {
    const started = startWithRun(place.path, [program('plugin-launch'), ...argv], environment);
    running.push(started);
    return started;
  }

  function files(count: number): number[] {
    const fds = Array.from({ length: count }, (_, i) =>
      openSync(['/etc/passwd', '/etc/hostname', '/dev/null'][i % 3] as string, 'r'),
    );
    open.push(...fds);
    return fds;
  }

  it('hands the descriptors on in their order, and nothing else', async () => {
    let said = '';
    let uid = -1;
    await serve((socket, line) => {
      said = line;
      uid = peerCredentials(descriptorOf(socket)).uid;
      sendWithFds(descriptorOf(socket), Buffer.from('fds 4\n'), files(4));
    });
    const launcher = launch(undefined, { LISTEN_FDNAMES: 'stale', KEPT: 'yes', LISTEN_PID: '1' });
    assert.equal(await launcher.ended, 0, launcher.err);
    assert.equal(said, 'launch 1 plugin-x-a-g1.service\n');
    assert.equal(uid, 0);
    const state = stateOf(launcher.out);
    assert.deepEqual(
      state.get('fd')?.map((line) => line.replace(/(pipe|socket):.*/, '$1')),
      [
        '0 open /dev/null',
        '1 open socket',
        '2 open socket',
        '3 open /etc/passwd',
        '4 open /etc/hostname',
        '5 open /dev/null',
        '6 open /etc/passwd',
      ],
    );
    const environment = state.get('env') ?? [];
    assert.ok(environment.includes('LISTEN_FDS=4') && environment.includes('KEPT=yes'));
    assert.ok(environment.includes(`LISTEN_PID=${state.get('ids')?.[0]?.split(' ')[0]}`));
    assert.ok(!environment.some((variable) => variable.startsWith('LISTEN_FDNAMES')));
    assert.deepEqual(state.get('arg')?.slice(1), ['state', 'word']);
  });

  for (const count of [2, 253]) {
    it(`takes ${count} descriptors`, async () => {
      await serve((socket) => sendWithFds(descriptorOf(socket), Buffer.from(`fds ${count}\n`), files(count)));
      const launcher = launch();
      assert.equal(await launcher.ended, 0, launcher.err);
      assert.equal(stateOf(launcher.out).get('fd')?.length, 3 + count);
    });
  }

  it('takes an answer that comes in pieces', async () => {
    await serve((socket) => {
      sendWithFds(descriptorOf(socket), Buffer.from('fd'), files(2));
      setTimeout(() => sendWithFds(descriptorOf(socket), Buffer.from('s 3'), files(1)), 30);
      setTimeout(() => socket.write('\n'), 60);
    });
    const launcher = launch();
    assert.equal(await launcher.ended, 0, launcher.err);
    assert.equal(stateOf(launcher.out).get('fd')?.length, 6);
  });

  const refusals: { what: string; answer: string | Buffer; fds?: number; says: RegExp }[] = [
    { what: 'a refusal', answer: 'refused BH301 there is no such unit\n', says: /^there is no such unit$/m },
    { what: 'a refusal without a text', answer: 'refused BH301\n', says: /not understood/ },
    { what: 'too few descriptors', answer: 'fds 3\n', fds: 2, says: /announced 3 descriptors and sent 2/ },
    { what: 'too many descriptors', answer: 'fds 3\n', fds: 4, says: /announced 3 descriptors and sent 4/ },
    { what: 'no descriptors', answer: 'fds 2\n', says: /announced 2 descriptors and sent 0/ },
    { what: 'fewer than there always are', answer: 'fds 1\n', fds: 1, says: /not understood/ },
    { what: 'a number that is none', answer: 'fds 2x\n', fds: 2, says: /not understood/ },
    { what: 'a huge number', answer: 'fds 99999999999999999999\n', fds: 2, says: /not understood/ },
    { what: 'a leading zero', answer: 'fds 02\n', fds: 2, says: /not understood/ },
    { what: 'an unknown word', answer: 'hello\n', says: /not understood: 'hello'/ },
    { what: 'an empty line', answer: '\n', says: /not understood/ },
    { what: 'two lines', answer: 'fds 2\nfds 2\n', fds: 2, says: /more than one line/ },
    {
      what: 'bytes that are no text',
      answer: Buffer.from([0x66, 0x64, 0x73, 0x20, 0x32, 0, 0xff, 0x0a]),
      fds: 2,
      says: /not understood: 'fds 2\?\?'/,
    },
    { what: 'a line without end', answer: 'x'.repeat(5000), says: /too long/ },
    { what: '254 descriptors in two messages', answer: 'fds 253\n', fds: 254, says: /too many|sent/ },
  ];
  for (const { what, answer, fds = 0, says } of refusals) {
    it(`runs nothing after ${what}`, async () => {
      await serve((socket) => {
        const fd = descriptorOf(socket);
        const bytes = Buffer.from(answer);
        const passed = files(fds);
        if (passed.length > 253) sendWithFds(fd, bytes.subarray(0, 1), passed.splice(0, 200));
        sendWithFds(fd, fds > 253 ? bytes.subarray(1) : bytes, passed);
      });
      const launcher = launch();
      assert.equal(await launcher.ended, 1, launcher.err);
      assert.match(launcher.err, says);
      assert.equal(launcher.out, '');
    });
  }

  it('runs nothing after a half answer', async () => {
    await serve((socket) => socket.end('fds 2'));
    const launcher = launch();
    assert.equal(await launcher.ended, 1);
    assert.match(launcher.err, /not understood: 'fds 2'/);
  });

  it('waits for a supervisor that comes up, and asks again one that goes away without an answer', async () => {
    const launcher = launch();
    await new Promise((settle) => setTimeout(settle, 300));
    await serve((socket, _line, count) => {
      if (count < 3) socket.destroy();
      else sendWithFds(descriptorOf(socket), Buffer.from('fds 2\n'), files(2));
    });
    assert.equal(await launcher.ended, 0, launcher.err);
  });

  it('gives up after 10 s without a supervisor, and after 10 s without an answer', async () => {
    await serve(() => undefined);
    const elsewhere = scratch();
    const silent = launch();
    const absent = startWithRun(elsewhere.path, [program('plugin-launch'), 'u.service', '--', '/bin/true'], {});
    running.push(absent);
    const begin = Date.now();
    const waits = await Promise.all(
      [silent, absent].map(async (one) => {
        assert.equal(await one.ended, 1);
        return Date.now() - begin;
      }),
    );
    elsewhere.remove();
    assert.match(absent.err, /the supervisor is away/);
    assert.match(silent.err, /did not answer within 10 s/);
    for (const ms of waits) assert.ok(ms > 9500 && ms < 13_000, `${ms} ms`);
  });

  it('says what is wrong with its arguments and with the program', async () => {
    for (const argv of [
      [],
      ['u.service'],
      ['u.service', '--'],
      ['u.service', '--', 'relative'],
      ['u.service', '/bin/forwarder', '--'],
      ['u.service', 'forwarder', '--', '/bin/true'],
      ['u.service', '/bin/forwarder', '/bin/true'],
      ['a b', '--', '/bin/true'],
      ['a\nb', '--', '/bin/true'],
    ]) {
      const launcher = launch(argv);
      assert.equal(await launcher.ended, 1);
      assert.match(launcher.err, /usage/);
    }
    await serve((socket) => sendWithFds(descriptorOf(socket), Buffer.from('fds 2\n'), files(2)));
    const launcher = launch(['u.service', '--', '/nonexistent']);
    assert.equal(await launcher.ended, 1);
    assert.match(launcher.err, /cannot execute '\/nonexistent': No such file/);
  });

  it('takes random answers without a crash', async () => {
    let answer = Buffer.alloc(0);
    await serve((socket) => {
      socket.end(answer);
    });
    for (let i = 0; i < 20; i++) {
      const bytes = Array.from({ length: 1 + Math.floor(Math.random() * 200) }, () => Math.floor(Math.random() * 256));
      answer = Buffer.from([...Buffer.from(i % 2 === 0 ? 'fds ' : 'refused '), ...bytes, 0x0a]);
      const launcher = launch();
      assert.equal(await launcher.ended, 1, launcher.err);
      assert.ok(!/Sanitizer|runtime error/.test(launcher.err), launcher.err);
    }
  });
});
