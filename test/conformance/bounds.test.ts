import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { frame, type Value } from './peer/pack.ts';
import type { Peer } from './peer/peer.ts';
import { forEachTarget, until } from './target.ts';

/** Memory (MiB) that the clients of one test may come to cost, whatever they do. */
const MOST_MEMORY = 256;
/** As many as a server has to take at once. */
const CONNECTIONS = 256;

forEachTarget('bounds', (target) => {
  let idle: number;
  before(() => {
    idle = target().descriptors().length;
  });
  // Who has left in the test before is not counted in this one.
  beforeEach(() => until('nobody to be there', () => target().descriptors().length <= idle + 1));

  async function many(count: number): Promise<Peer[]> {
    const peers: Peer[] = [];
    for (let each = 0; each < count; each += 1) peers.push(await target().connect({ greet: false }));
    return peers;
  }

  it('are not reached by 200 clients at once', async () => {
    const peers = await many(200);
    const answers = await Promise.all(peers.map((peer, index) => peer.result('echo', index)));
    assert.deepEqual(
      answers,
      peers.map((_, index) => index),
    );
  });

  it('hold for connections: those over 256 are refused or wait, and are served when others have left', async () => {
    const sockets = await crowd(CONNECTIONS + 64, target().socket);
    try {
      const open = () => target().descriptors().length - idle;
      await until('200 of them', () => open() >= 200);
      await pause(300);
      assert.ok(open() <= CONNECTIONS + 16, `${open()} descriptors for ${sockets.length} connections`);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await until('all to be closed', () => target().descriptors().length <= idle + 2);
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });

  it('hold for lengths that are claimed and not sent', async () => {
    const before = target().memory('VmData');
    const peers = await many(100);
    for (const peer of peers) peer.raw(Buffer.of(0x00, 0x3f, 0xff, 0xff, 0x94));
    await pause(200);
    // Not what is resident: a buffer that was never written to takes no page.
    const grown = target().memory('VmData') - before;
    assert.ok(grown < 64, `${grown.toFixed(0)} MiB for 100 claims of 4 MiB`);
  });

  it('hold for a client that sends and does not read: it is not read from, or cut, and others are served', async () => {
    const before = target().memory();
    const deaf = await target().connect();
    deaf.socket.pause();
    // Its answers may be any number, and nobody looks at them.
    deaf.talk.lenient = true;
    let waiting = false;
    const request = frame([0, 1, 'bytes', [1_000_000]]);
    for (let asked = 0; asked < 2000 && !deaf.isEnded; asked += 1) {
      request.writeUInt8(asked & 0x7f, 6);
      waiting = !deaf.socket.write(request);
      // All of the answers are 2 GB, far beyond what may be kept.
      if (asked % 50 === 0) await pause(5);
    }
    await pause(300);
    const grown = target().memory() - before;
    assert.ok(
      grown < MOST_MEMORY,
      `${grown.toFixed(0)} MiB for one that does not read; it ${waiting ? 'has to wait' : 'could send all'}`,
    );
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });

  it('hold for many clients that do not read', async () => {
    const before = target().memory();
    const sockets: Socket[] = [];
    for (let each = 0; each < 50; each += 1) {
      const socket = connect(target().socket);
      socket.on('error', () => undefined);
      socket.pause();
      for (let id = 0; id < 60; id += 1) socket.write(frame([0, id, 'bytes', [1_000_000]]));
      sockets.push(socket);
    }
    await pause(1000);
    const grown = target().memory() - before;
    for (const socket of sockets) socket.destroy();
    await until('all to be closed', () => target().descriptors().length <= idle + 2);
    assert.ok(grown < 2 * MOST_MEMORY, `${grown.toFixed(0)} MiB for 50 that asked for 3 GB and read nothing`);
    assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
  });

  it('hold for clients that end their side, do not read what they asked for, and leave', async () => {
    const sockets: Socket[] = [];
    for (let each = 0; each < 40; each += 1) {
      const socket = connect({ path: target().socket, allowHalfOpen: true });
      socket.on('error', () => undefined);
      socket.pause();
      socket.write(frame([0, 1, 'bytes', [900_000]]));
      sockets.push(socket);
    }
    try {
      await until('most to be there', () => target().descriptors().length >= idle + 30);
      for (const socket of sockets) socket.end();
      await pause(300);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await until('nobody to be there', () => target().descriptors().length <= idle + 1);
  });

  it('hold for a stream whose client stops to read, though it has given credit', async () => {
    const before = target().memory();
    const peer = await target().connect();
    const id = peer.ask('forever', [], { stream: 1024 });
    for (let given = 0; given < 63; given += 1) peer.credit(id, 1024);
    peer.socket.pause();
    await pause(300);
    const grown = target().memory() - before;
    assert.ok(grown < MOST_MEMORY / 2, `${grown.toFixed(0)} MiB`);
    peer.socket.resume();
    peer.send([2, '$cancel', [id]]);
    await peer.answer(id);
  });

  it('hold for clients that come, ask and go: nothing of them is left', async () => {
    const round = async (): Promise<void> => {
      const peers = await Promise.all(Array.from({ length: 20 }, () => target().connect()));
      await Promise.all(peers.map((peer) => peer.result('echo', [1, 'a', { b: 2 }])));
      for (const peer of peers) {
        peer.ask('sleep', [60_000]);
        peer.ask('forever', [], { stream: 2 });
      }
      await Promise.all(peers.map((peer) => peer.leave()));
    };
    for (let warm = 0; warm < 10; warm += 1) await round();
    await until('no stream', async () => (await (await target().connect()).result('streams')) === 0);
    await pause(200);
    const [memory, descriptors, threads] = [target().memory(), target().descriptors(), target().threads()];
    for (let again = 0; again < 30; again += 1) await round();
    // One more looks, and so did the one before.
    await until('as many descriptors as before', () => target().descriptors().length <= descriptors.length + 1);
    assert.ok(target().threads() <= threads + 4, `${target().threads()} threads, ${threads} before`);
    const grown = target().memory() - memory;
    assert.ok(grown < 32, `${grown.toFixed(1)} MiB for 600 clients`);
  });

  it('hold for a method that blocks: others are answered by and by, and nothing is lost', async () => {
    const peer = await target().connect();
    const blocked = peer.ask('block', [300]);
    const ids = Array.from({ length: 30 }, (_, index): number => peer.ask('echo', [index]));
    for (const [index, id] of ids.entries()) assert.equal((await peer.answer(id)).result, index);
    await peer.answer(blocked);
  });
});

/** Connections, or attempts at them: over its bounds a server may refuse, cut or leave waiting. */
async function crowd(count: number, path: string): Promise<Socket[]> {
  const sockets: Socket[] = [];
  const request: Value = [0, 1, 'echo', [1]];
  for (let each = 0; each < count; each += 1) {
    const socket = connect(path);
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.write(frame(request));
    sockets.push(socket);
    if (each % 32 === 0) await pause(5);
  }
  return sockets;
}
