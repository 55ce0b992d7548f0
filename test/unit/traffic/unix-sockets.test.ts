import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Listen } from '../../../src/declare/declaration.ts';
import { listenUnix, socketAddress } from '../../../src/kernel/native.ts';
import { listenerKey, slotKey } from '../../../src/plan/listener-key.ts';
import type { PlannedListener } from '../../../src/plan/plan.ts';
import { LISTENER_PREFIX, Listeners } from '../../../src/traffic/listeners.ts';
import { prepare } from '../../native/native-programs.ts';
import { KeptDescriptors } from '../../support/kept-descriptors.ts';

const A = { live: 'a', other: 0 } as const;
const B = { live: 'b', other: 0 } as const;

/** Connects again and again until it is told to end; says how often, and each error. */
const CLIENT = `
  const { createConnection } = require('node:net');
  let count = 0, over = false;
  const errors = {};
  const next = () => {
    if (over) return;
    const socket = createConnection(process.argv[1]);
    const ended = () => { socket.destroy(); setImmediate(next); };
    socket.on('connect', () => { count++; });
    socket.on('close', ended);
    socket.on('error', ({ code }) => { errors[code] = (errors[code] ?? 0) + 1; });
  };
  for (let n = 0; n < 8; n++) next();
  process.stdin.on('data', () => {
    over = true;
    process.stdout.write(JSON.stringify({ count, errors }));
    process.exit();
  });
  process.stdout.write('begun');
`;

describe('Unix sockets of two slots', function () {
  this.timeout(30_000);
  before(prepare);
  let directory: string;
  let path: string;
  let address: PlannedListener;
  let sides: { a: PlannedListener[]; b: PlannedListener[] };
  let store: KeptDescriptors;
  const sockets: Socket[] = [];
  const all: Listeners[] = [];

  function plannedAt(where: string): PlannedListener {
    const listen: Listen = {
      kind: 'unix',
      path: where,
      name: 'x',
      mode: 0o640,
      user: '12',
      group: '34',
      backlog: 4096,
    };
    return { key: listenerKey('p', listen), listen };
  }

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-unix-'));
    path = join(directory, 'x.sock');
    address = plannedAt(path);
    sides = { a: [address], b: [address] };
    store = new KeptDescriptors();
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const listeners of all.splice(0)) listeners.closeAll('p');
    store.clear();
    rmSync(directory, { recursive: true });
  });

  function make(): Listeners {
    const made = new Listeners(store, store.inherited());
    all.push(made);
    return made;
  }

  /** The supervisor dies: what it had open is closed, its files stay. */
  async function killed(listeners: Listeners): Promise<void> {
    all.splice(all.indexOf(listeners), 1);
    for (const slot of ['a', 'b'] as const) {
      const fd = listeners.descriptor(slotKey(address.key, slot));
      if (fd !== undefined) closeSync(fd);
    }
  }

  function connected(where = path): Promise<Socket> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(where, () => resolve(socket));
      socket.on('error', reject);
      sockets.push(socket);
    });
  }

  /** The slots in whose queues something is. */
  function waiting(listeners: Listeners): string {
    return listeners
      .standing(address.key)
      .filter(({ queued }) => queued !== 0)
      .map(({ slot }) => slot)
      .join('');
  }

  it('has one at the path, to which all connections go, as it is declared', async () => {
    const listeners = make();
    await listeners.ensure('p', sides, A);
    const { mode, uid, gid } = lstatSync(path);
    assert.deepEqual([mode & 0o777, uid, gid], [0o640, 12, 34]);
    await connected();
    assert.equal(waiting(listeners), 'a');
    for (const weight of [1, 50, 99]) {
      listeners.weigh('p', { live: 'a', other: weight });
      assert.deepEqual(
        listeners.standing(address.key).map((each) => each.weight),
        [100, 0],
      );
    }
    listeners.weigh('p', { live: 'a', other: 100 });
    await connected();
    assert.equal(waiting(listeners), 'ab');
    assert.deepEqual([lstatSync(path).mode & 0o777, lstatSync(path).uid, lstatSync(path).gid], [0o640, 12, 34]);
    for (const slot of ['a', 'b'] as const) {
      const fd = listeners.descriptor(slotKey(address.key, slot)) ?? -1;
      assert.deepEqual(socketAddress(fd), { family: 'unix', path });
    }
    listeners.closeAll('p');
    assert.deepEqual(readdirSync(directory), []);
  });

  it('can have the longest path that there is', async () => {
    const long = join(directory, 'x'.repeat(107 - directory.length - 1));
    const [first, next] = [plannedAt(long), make()];
    await next.ensure('p', { a: [first], b: [first] }, B);
    await connected(long);
    next.closeAll('p');
    // Of an older version: the second one cannot be bound at the path, nor has its own name room in an address.
    const fd = listenUnix({ path: long, backlog: 1, mode: 0o600 });
    store.store(`${LISTENER_PREFIX}${first.key}`, fd);
    closeSync(fd);
    const after = make();
    await after.ensure('p', { a: [first], b: [first] }, B);
    await connected(long);
    assert.deepEqual(
      after.standing(first.key).map(({ queued }) => queued),
      [0, 1],
    );
    after.closeAll('p');
    assert.deepEqual(readdirSync(directory), []);
  });

  it('goes on with the one socket of an older version, with what waits in it', async () => {
    const fd = listenUnix({ path, backlog: 5, mode: 0o600 });
    store.store(`${LISTENER_PREFIX}${address.key}`, fd);
    closeSync(fd);
    const inode = lstatSync(path).ino;
    await connected();
    const listeners = make();
    await listeners.ensure('p', sides, A);
    assert.equal(lstatSync(path).ino, inode);
    assert.equal(waiting(listeners), 'a');
    listeners.weigh('p', B);
    await connected();
    assert.equal(waiting(listeners), 'ab');
    listeners.weigh('p', A);
    assert.equal(lstatSync(path).ino, inode);
    listeners.closeAll('p');
    assert.deepEqual(readdirSync(directory), []);
  });

  it('never refuses a client, and always has a file, while it is moved a thousand times', async () => {
    const listeners = make();
    await listeners.ensure('p', sides, A);
    const servers: Server[] = [];
    const client = spawn(process.execPath, ['-e', CLIENT, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    try {
      const served = [0, 0];
      for (const [index, slot] of (['a', 'b'] as const).entries()) {
        const server = createServer((socket) => {
          served[index] = (served[index] ?? 0) + 1;
          socket.destroy();
        });
        server.listen({ fd: listeners.copy(slotKey(address.key, slot)) });
        servers.push(server);
      }
      let said = '';
      client.stdout.on('data', (data) => {
        said += String(data);
      });
      while (said !== 'begun') await pause(10);
      said = '';
      for (let n = 0; n < 1000; n++) {
        listeners.weigh('p', n % 2 === 0 ? B : A);
        if (n % 3 === 0) await pause(1);
      }
      client.stdin.write('end');
      await once(client, 'close');
      const { count, errors } = JSON.parse(said) as { count: number; errors: Record<string, number> };
      process.stdout.write(`      ${count} connections, ${served.join(' and ')} accepted\n`);
      assert.deepEqual(errors, {});
      assert.ok(count > 500 && served.every((each) => each > 50), `${count}: ${served.join(' and ')}`);
    } finally {
      client.kill();
      for (const server of servers) server.close();
    }
  });

  describe('after a supervisor that died', () => {
    const hidden = (what: string): string => join(directory, `.x.sock.${what}`);

    it('between the steps of a move', async () => {
      for (const moved of [false, true]) {
        const first = make();
        await first.ensure('p', sides, A);
        if (moved) {
          linkSync(hidden('b'), hidden('next'));
        } else {
          // rename(2) of two names of one file removes neither.
          linkSync(hidden('a'), hidden('next'));
          renameSync(hidden('next'), path);
        }
        await killed(first);
        const next = make();
        await next.ensure('p', sides, B);
        await connected();
        assert.equal(waiting(next), 'b');
        assert.deepEqual(readdirSync(directory).sort(), ['.x.sock.a', '.x.sock.b', 'x.sock']);
        next.closeAll('p');
      }
    });

    it('between the steps of making them', async () => {
      const steps: { [name: string]: (first: Listeners) => void } = {
        'a bound, not renamed': () => {
          store.clear();
          for (const name of [hidden('a'), hidden('b')]) unlinkSync(name);
        },
        'a renamed, not stored': () => {
          store.clear();
          for (const name of [path, hidden('b')]) unlinkSync(name);
        },
        'a stored': () => {
          store.remove(`${LISTENER_PREFIX}${slotKey(address.key, 'b')}`);
          for (const name of [path, hidden('b')]) unlinkSync(name);
        },
        'b bound, not renamed': () => {
          store.remove(`${LISTENER_PREFIX}${slotKey(address.key, 'b')}`);
          renameSync(hidden('b'), path);
        },
        'b renamed, not stored': () => {
          store.remove(`${LISTENER_PREFIX}${slotKey(address.key, 'b')}`);
          unlinkSync(path);
        },
        'both stored': () => unlinkSync(path),
        'a lost': () => store.remove(`${LISTENER_PREFIX}${address.key}`),
      };
      for (const [name, undo] of Object.entries(steps)) {
        const first = make();
        await first.ensure('p', sides, A);
        undo(first);
        await killed(first);
        const next = make();
        await next.ensure('p', sides, A);
        await connected();
        assert.equal(waiting(next), 'a', name);
        next.weigh('p', B);
        await connected();
        assert.equal(waiting(next), 'ab', name);
        assert.deepEqual(readdirSync(directory).sort(), ['.x.sock.a', '.x.sock.b', 'x.sock'], name);
        next.closeAll('p');
        assert.deepEqual([readdirSync(directory), [...store.fds.keys()]], [[], []], name);
      }
    });
  });

  describe('leaves alone what is not its own', () => {
    async function refused(code: string, words: RegExp, weighed?: Listeners): Promise<void> {
      const work = async (): Promise<unknown> =>
        weighed === undefined ? make().ensure('p', sides, A) : weighed.weigh('p', B);
      await assert.rejects(work, (thrown: { code: string; message: string }) => {
        assert.equal(thrown.code, code, thrown.message);
        assert.match(thrown.message, words);
        return true;
      });
    }

    it('when it makes the sockets', async () => {
      writeFileSync(path, 'mine');
      await refused('BH206', /x\.sock' exists and is not a socket/);
      assert.equal(readFileSync(path, 'utf8'), 'mine');
      unlinkSync(path);
      symlinkSync('/etc/passwd', path);
      await refused('BH206', /x\.sock' exists and is not a socket/);
      unlinkSync(path);
      for (const name of ['.x.sock.a', '.x.sock.b', '.x.sock.next']) {
        mkdirSync(join(directory, name));
        await refused('BH206', new RegExp(`${name}' exists and is not a socket`));
        assert.deepEqual(readdirSync(directory), [name]);
        rmSync(join(directory, name), { recursive: true });
      }
      const server = createServer().listen(path);
      await once(server, 'listening');
      await refused('BH206', /a program listens there/);
      await connected();
      server.close();
    });

    it('when it moves the path, and when it gives it up', async () => {
      const listeners = make();
      await listeners.ensure('p', sides, A);
      unlinkSync(path);
      writeFileSync(path, 'mine');
      await refused('BH220', /x\.sock' is no socket of the plugin's; it is left as it is/, listeners);
      unlinkSync(path);
      writeFileSync(join(directory, '.x.sock.next'), 'mine');
      await refused('BH220', /next' is no socket of the plugin's/, listeners);
      unlinkSync(join(directory, '.x.sock.next'));
      // What somebody removed comes back.
      listeners.weigh('p', B);
      await connected();
      assert.equal(waiting(listeners), 'b');
      unlinkSync(path);
      writeFileSync(path, 'mine');
      listeners.closeAll('p');
      assert.equal(readFileSync(path, 'utf8'), 'mine');
      assert.equal(existsSync(join(directory, '.x.sock.a')), false);
    });

    it('when its own socket has lost its name', async () => {
      const listeners = make();
      await listeners.ensure('p', sides, A);
      unlinkSync(join(directory, '.x.sock.b'));
      await refused('BH220', /is not the socket of slot b any more/, listeners);
      await connected();
      assert.equal(waiting(listeners), 'a');
    });
  });
});
