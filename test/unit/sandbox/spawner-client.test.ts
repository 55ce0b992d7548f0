import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import type { Clock } from '../../../src/base/clock.ts';
import { Failure } from '../../../src/base/failure.ts';
import { Spawner } from '../../../src/sandbox/spawner-client.ts';

/** A clock whose limits are reached a hundred times as fast. */
const HASTY: Clock = {
  now: () => performance.now() * 100,
  after: (ms, run) => {
    const timer = setTimeout(run, ms / 100);
    return { release: () => clearTimeout(timer) };
  },
};

const UNIT = 'plugin-x-a-g1.scope';
const ORDER = { unit: UNIT, words: ['--machine', 'x-a-g1', '--', '/run/plugin-init', 'ä b'], fds: [] };

describe('the client of the spawner', () => {
  let directory = '';
  let path = '';
  let server: Server | undefined;
  const sockets = new Set<Socket>();

  beforeEach(() => {
    directory = mkdtempSync(`${tmpdir()}/bulkhead-spawner-`);
    path = `${directory}/spawn.sock`;
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    server?.close();
    rmSync(directory, { recursive: true });
  });

  /** A spawner that says something when it has heard something. */
  function spawner(answer: (heard: string, socket: Socket) => void): void {
    server = createServer((socket) => {
      sockets.add(socket);
      let heard = '';
      socket.on('error', () => {});
      socket.on('data', (chunk: Buffer) => {
        heard += chunk.toString('utf8');
        answer(heard, socket);
      });
    }).listen(path);
  }

  const says = (...lines: string[]) => spawner((_, socket) => socket.write(lines.map((line) => `${line}\n`).join('')));

  const clone = () => new Spawner(path, HASTY).clone(ORDER);

  function fails(code: string, words: RegExp): (error: unknown) => boolean {
    return (error) => {
      assert.ok(error instanceof Failure, String(error));
      assert.equal(error.code, code);
      assert.match(error.message, words);
      return true;
    };
  }

  it('orders a process, and lets it go', async () => {
    const body = '--machine\0x-a-g1\0--\0/run/plugin-init\0ä b\0';
    const order = `spawn 1 ${UNIT} ${Buffer.byteLength(body)}\n${body}`;
    let all = '';
    spawner((heard, socket) => {
      all = heard;
      if (heard === order) socket.write('cloned 4242\n');
      if (heard === `${order}go ${UNIT}\n`) socket.end('started\n');
    });
    const cloned = await clone();
    assert.deepEqual(cloned.pids, [4242]);
    await cloned.go();
    cloned.release();
    assert.equal(all, `${order}go ${UNIT}\n`);
  });

  it('hears of a forwarder beside the process', async () => {
    says('cloned 4242 4243', 'started');
    const cloned = await clone();
    assert.deepEqual(cloned.pids, [4242, 4243]);
    cloned.release();
  });

  it('sends an order of a megabyte whole', async () => {
    const words = [...ORDER.words, 'x'.repeat(1 << 20)];
    const body = words.map((word) => `${word}\0`).join('');
    const order = `spawn 1 ${UNIT} ${Buffer.byteLength(body)}\n${body}`;
    spawner((heard, socket) => {
      if (heard === order) socket.write('cloned 4242\n');
    });
    const cloned = await new Spawner(path, HASTY).clone({ ...ORDER, words });
    cloned.release();
  });

  it('names the step that failed, before the process is let go and after', async () => {
    says('failed root 2 No such file or directory');
    await assert.rejects(clone(), fails('BH302', /^'plugin-x-a-g1\.scope': step 'root': No such file or directory$/));
    server?.close();
    rmSync(path, { force: true });
    spawner((heard, socket) =>
      socket.write(heard.includes('\ngo ') || heard.includes('\0go ') ? 'failed cgroup 22 x\n' : 'cloned 7\n'),
    );
    const cloned = await clone();
    await assert.rejects(cloned.go(), fails('BH302', /step 'cgroup': x$/));
    cloned.release();
  });

  it('hears of a failure that came before it was asked', async () => {
    says('cloned 7', 'failed mount 12 Cannot allocate memory');
    const cloned = await clone();
    await assert.rejects(cloned.go(), fails('BH302', /step 'mount': Cannot allocate memory$/));
    cloned.release();
  });

  it('waits for a spawner that comes up', async () => {
    const cloning = clone();
    setTimeout(() => says('cloned 7'), 20);
    const cloned = await cloning;
    cloned.release();
  });

  it('asks again when the spawner went away before it answered', async () => {
    let asked = 0;
    spawner((_, socket) => {
      asked += 1;
      if (asked === 1) socket.destroy();
      else socket.write('cloned 7\n');
    });
    const cloned = await clone();
    cloned.release();
    assert.equal(asked, 2);
  });

  it('gives up when nobody serves', async () => {
    await assert.rejects(clone(), fails('BH308', /^nobody served '.*spawn\.sock' for 10 s: /));
  });

  it('gives up when there is no answer', async () => {
    spawner(() => {});
    await assert.rejects(clone(), fails('BH308', /did not answer within 10 s/));
  });

  it('does not let a process go twice over a spawner that went away', async () => {
    spawner((heard, socket) => (heard.endsWith(`go ${UNIT}\n`) ? socket.destroy() : socket.write('cloned 7\n')));
    const cloned = await clone();
    await assert.rejects(cloned.go(), fails('BH308', /closed the connection/));
    cloned.release();
  });

  for (const [what, lines] of [
    ['another word', ['hello']],
    ['pid 0', ['cloned 0']],
    ['pid 1', ['cloned 1']],
    ['a pid that cannot be', ['cloned 9999999']],
    ['a pid with a sign', ['cloned -7']],
    ['a step with spaces', ['failed  2 x']],
    ['control characters', ['\u001b[31mfailed']],
    ['too many lines', ['cloned 7', 'started', 'started']],
    ['a line without end', ['x'.repeat(5000)]],
  ] as const) {
    it(`takes no ${what} for an answer`, async () => {
      says(...lines);
      await assert.rejects(clone(), (error) => {
        assert.ok(error instanceof Failure, String(error));
        assert.equal(error.code, 'BH308');
        assert.doesNotMatch(error.message, /\p{Cc}/u);
        return true;
      });
    });
  }
});
