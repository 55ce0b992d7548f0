import assert from 'node:assert/strict';
import { closeSync, fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { listenTcp, listenUnix } from '../../src/kernel/native.ts';
import { compileFilter, payload, prepare, type Running, scratch, startInit, stateOf } from './native-programs.ts';

/** Serves descriptor 4 alone: answers each connection with one byte, and ends at the byte 'x'. */
const SERVER = `
import socket
listener = socket.socket(fileno=4)
print('serving', flush=True)
while True:
    connection, _ = listener.accept()
    if connection.recv(1) == b'x':
        break
    connection.sendall(b'!')
    connection.close()
`;

/** Init and all below it. */
function familyOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  return [pid, ...children.flatMap(familyOf)];
}

function links(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

describe('the socket for calls', function () {
  this.timeout(20_000);
  let place: ReturnType<typeof scratch>;
  const running: Running[] = [];
  const open: number[] = [];
  before(prepare);
  beforeEach(() => {
    place = scratch();
  });
  afterEach(async () => {
    for (const fd of open.splice(0)) closeSync(fd);
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    place.remove();
  });

  const path = (): string => join(place.path, 'rpc');
  /** Inode of the socket of the test. */
  let rpc: bigint;

  /** Listeners as a sandbox gets them: one of its own, one that is forwarded, and behind them that for calls. */
  function listeners(): number[] {
    const made = [
      listenTcp({ host: '127.0.0.1', port: 0, backlog: 5, reusePort: false }),
      listenTcp({ host: '127.0.0.1', port: 0, backlog: 5, reusePort: false }),
      listenUnix({ path: path(), backlog: 5, mode: 0o666 }),
    ];
    open.push(...made);
    rpc = fstatSync(made[2] ?? -1, { bigint: true }).ino;
    return made;
  }

  function start(options: readonly string[], command: readonly string[], profile: string): Running {
    const init = startInit({
      directory: place.path,
      options: ['--listen=http', '--to=4100', '--start-timeout=5000', '--rpc=yes', ...options],
      descriptors: listeners(),
      command,
      filter: compileFilter(place.path, profile),
      network: true,
    });
    running.push(init);
    for (const fd of open.splice(0)) closeSync(fd);
    return init;
  }

  it('is the last one of the program, and called rpc', async () => {
    // It is started before its port accepts, since it is a program that never does.
    const init = start([], [payload('probe'), 'state'], 'native');
    await init.until('state', () => init.events().includes('exit'));
    const state = stateOf(init.out);
    const environment = state.get('env') ?? [];
    assert.ok(environment.includes('LISTEN_FDNAMES=http:rpc'), environment.join('\n'));
    assert.ok(environment.includes('LISTEN_FDS=2'), environment.join('\n'));
    const descriptors = state.get('fd')?.map((line) => line.split(' ')[0]);
    assert.deepEqual(descriptors, ['0', '1', '2', '3', '4']);
  });

  it('is open while the gate is held, and the program alone has it', async () => {
    const listener = `import socket, threading\nport = socket.create_server(('127.0.0.1', 4100))\n`;
    const command = ['/usr/bin/python3', '-uc', `${listener}${SERVER}`];
    const init = start(['--gate=held'], command, 'python+gate');
    await init.until('serving', () => init.out.includes('serving'));
    assert.equal(await ask('.'), '!');
    const pid = await init.innerPid();
    const holders = familyOf(pid).filter((each) => links(each).includes(`socket:[${rpc}]`));
    assert.equal(holders.length, 1, `of ${pid}: ${holders.join(' ')}`);
    assert.notEqual(holders[0], pid);
    assert.equal(await ask('x'), '');
    assert.equal(await init.ended, 0, init.err);
  });

  it('is not known where there is another value', async () => {
    const init = startInit({ directory: place.path, options: ['--rpc=no'], command: [payload('probe'), 'state'] });
    running.push(init);
    await init.ended;
    assert.match(JSON.stringify(init.report('setup-failed')), /'--rpc'/);
  });

  /** What comes of a connection: the answer, or the error. */
  function ask(byte: string): Promise<string> {
    return new Promise((settle) => {
      const socket: Socket = connect(path());
      let answer = '';
      socket.on('connect', () => socket.write(byte));
      socket.on('data', (chunk: Buffer) => {
        answer += chunk.toString();
        socket.end();
      });
      socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
      socket.on('close', () => settle(answer));
    });
  }
});
