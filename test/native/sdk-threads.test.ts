/** Methods of the C SDK that run in threads; all else about it is held by the conformance suite, as of every SDK. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { problemOf } from '../conformance/peer/conversation.ts';
import { dismissPeers, HANG_MS, type Peer } from '../conformance/peer/peer.ts';
import { Target, until } from '../conformance/target.ts';
import { prepare, program } from './native-programs.ts';

/** As many as the SDK has if nobody says otherwise. */
const THREADS = 8;
const NEVER_MS = 3_000_000;

describe('the C SDK, in threads', function () {
  this.timeout(3 * HANG_MS);
  let target: Target;
  let peer: Peer;
  before(prepare);
  beforeEach(async () => {
    target = await Target.start({
      name: 'c',
      takes: [],
      command: [program('test/conformance-target')],
      environment: {},
    });
    peer = await target.connect();
  });
  afterEach(async () => {
    await dismissPeers();
    await target.remove();
  });

  /** Takes all threads with calls that end by themselves in no time that a test has. */
  function fill(of: Peer = peer): number[] {
    return Array.from({ length: THREADS }, () => of.ask('thread-sleep', [NEVER_MS]));
  }

  async function codeOf(id: number): Promise<string | undefined> {
    return problemOf((await peer.answer(id)).error)?.code;
  }

  it('serves calls beside each other, and the loop beside them', async () => {
    const sleeping = fill();
    assert.equal(await peer.result('echo', 'awake'), 'awake');
    assert.ok(target.threads() >= THREADS && target.threads() <= THREADS + 2, `${target.threads()} threads`);
    for (const id of sleeping) peer.send([2, '$cancel', [id]]);
    for (const id of sleeping) assert.equal(await codeOf(id), 'cancelled');
  });

  it('lets more calls than threads wait, and answers all of them', async () => {
    const ids = Array.from({ length: 60 }, () => peer.ask('thread-sleep', [5]));
    for (const id of ids) assert.equal((await peer.answer(id)).result, 'slept');
  });

  it('never begins a call that was cancelled, or is late, while it waited for a thread', async () => {
    const sleeping = fill();
    const cancelled = peer.ask('thread-count', [1]);
    const late = peer.ask('thread-count', [1], { deadline: 50 });
    peer.send([2, '$cancel', [cancelled]]);
    assert.equal(await codeOf(cancelled), 'cancelled');
    assert.equal(await codeOf(late), 'deadline-exceeded');
    for (const id of sleeping) peer.send([2, '$cancel', [id]]);
    assert.deepEqual((await peer.call('thread-count', [2])).result, [0, 1]);
  });

  it('ends calls at their deadline, and has the threads for others', async () => {
    const ids = Array.from({ length: THREADS }, () => peer.ask('thread-sleep', [NEVER_MS], { deadline: 50 }));
    for (const id of ids) assert.equal(await codeOf(id), 'deadline-exceeded');
    assert.equal(await peer.result('thread-sleep', 1), 'slept');
  });

  it('has the threads for others when a client has left', async () => {
    const other = await target.connect();
    fill(other);
    assert.equal(await other.result('echo', 1), 1);
    await other.leave();
    assert.equal(await peer.result('thread-sleep', 1), 'slept');
  });

  it('sends parts as there is credit, in order, and the result behind them', async () => {
    const id = peer.ask('thread-count', [1000], { stream: 1 });
    const items = () => peer.talk.open.get(id)?.items.length ?? 1000;
    for (let given = 1; given < 1000; given += 3) {
      await peer.until(`part ${given}`, () => items() >= given);
      peer.credit(id, 3);
    }
    const { result, items: all } = await peer.answer(id);
    assert.equal(result, 1000);
    assert.deepEqual(
      all,
      Array.from({ length: 1000 }, (_, index) => index),
    );
  });

  it('wakes who waits for credit when nobody wants more', async () => {
    const ids = Array.from({ length: THREADS }, () => peer.ask('thread-count', [1000], { stream: 1 }));
    for (const id of ids) await peer.until('a part', () => (peer.talk.open.get(id)?.items.length ?? 0) === 1);
    for (const id of ids.slice(0, 4)) peer.send([2, '$cancel', [id]]);
    for (const id of ids.slice(0, 4)) assert.equal(await codeOf(id), 'cancelled');
    const other = await target.connect();
    assert.equal(await other.result('thread-sleep', 1), 'slept');
    await peer.leave();
    const sleeping = Array.from({ length: THREADS }, () => other.ask('thread-sleep', [20]));
    for (const id of sleeping) assert.equal((await other.answer(id)).result, 'slept');
  });

  it('keeps a thread waiting whose client reads nothing, and goes on when it does', async () => {
    const parts = 200_000;
    const id = peer.ask('thread-count', [parts], { stream: 1024 });
    peer.socket.pause();
    // More than can be open at a time is given when some of it has been used.
    for (let given = 1024; given < 65_536; given += 1024) peer.credit(id, 1024);
    assert.equal(await (await target.connect()).result('echo', 'well'), 'well');
    peer.socket.resume();
    let given = 64 * 1024;
    while (!peer.talk.answers.has(id)) {
      const came = peer.talk.open.get(id)?.items.length ?? parts;
      if (given - came < 32_768 && given < parts) {
        peer.credit(id, 1024);
        given += 1024;
      } else await peer.until('more', () => (peer.talk.open.get(id)?.items.length ?? parts) > came);
    }
    const { items } = await peer.answer(id);
    assert.equal(items.length, parts);
    assert.ok(items.every((item, index) => item === index));
  });

  it('gives all parts as one array to who did not ask for them, or none if they are too many', async () => {
    assert.deepEqual((await peer.call('thread-count', [3])).result, [0, 1, 2]);
    assert.deepEqual((await peer.call('thread-count', [0])).result, []);
    assert.equal(await codeOf(peer.ask('thread-count', [2_000_000])), 'too-large');
  });

  /** A little less than a frame has room for. */
  const large = Buffer.alloc(4_000_000);

  it('has 128 MiB of messages in hand, and refuses what is beyond', async () => {
    const ids = Array.from({ length: 40 }, () => peer.ask('thread-sleep', [NEVER_MS, large]));
    const refused = ids.slice(33);
    for (const id of refused) {
      const problem = problemOf((await peer.answer(id)).error);
      assert.deepEqual([problem?.code, problem?.retry], ['overloaded', true]);
    }
    const taken = ids.slice(0, 33);
    assert.ok(taken.every((id) => !peer.talk.answers.has(id)));
    for (const id of taken) peer.send([2, '$cancel', [id]]);
    for (const id of taken) assert.equal(await codeOf(id), 'cancelled');
    assert.equal(await peer.result('size', large), large.length);
  });

  it('takes nothing more from who sends notifications of 16 MiB until they are served', async () => {
    const before = target.memory();
    for (let each = 0; each < 30; each += 1) peer.send([2, 'thread-sleep', [500, large]]);
    const other = await target.connect();
    for (let looks = 0; looks < 10; looks += 1) {
      assert.equal(await other.result('echo', looks), looks);
      await pause(20);
    }
    // Five of them, one that is read, and what the memory of any of them was before it had grown.
    const grown = target.memory() - before;
    assert.ok(grown < 64, `${grown.toFixed(0)} MiB`);
    assert.equal(await peer.result('echo', 'served'), 'served');
  });

  it('ends connections whose notifications have no room', async () => {
    const senders = await Promise.all(Array.from({ length: 9 }, () => target.connect()));
    for (const sender of senders)
      for (let each = 0; each < 4; each += 1) sender.send([2, 'thread-sleep', [2000, large]]);
    const reasons = () => senders.map(({ talk }) => talk.reason?.code).filter((code) => code !== undefined);
    await until('the end of some', () => reasons().length > 0);
    assert.ok(reasons().every((code) => code === 'overloaded'));
    assert.ok(senders.some(({ isEnded }) => !isEnded));
  });

  it('takes the notifications of a client that has left without reading its answers', async () => {
    const leaver = await target.connect();
    leaver.talk.lenient = true;
    leaver.socket.pause();
    const bumps = Array.from({ length: 100 }, () => leaver.bytesOf([2, 'bump', []]));
    leaver.ask('bytes', [3_000_000]);
    await new Promise((resolve) => leaver.socket.write(Buffer.concat(bumps), resolve));
    await pause(50);
    assert.equal(await peer.result('bumped'), 0);
    await leaver.leave();
    await until('all of them', async () => (await peer.result('bumped')) === 100);
  });

  it('answers what a thread is at before it goes', async () => {
    const id = peer.ask('thread-sleep', [300]);
    assert.equal(await peer.result('echo', 1), 1);
    target.kill('SIGTERM');
    await peer.until('word of it', () => peer.talk.drained);
    assert.equal((await peer.answer(id)).result, 'slept');
    await peer.leave();
    assert.equal(await target.ended, 0);
  });

  it('ends though threads hang', async () => {
    fill();
    assert.equal(await peer.result('echo', 1), 1);
    target.kill('SIGTERM');
    await peer.until('word of it', () => peer.talk.drained);
    await peer.leave();
    await until('the end', () => !target.isRunning);
    assert.equal(await target.ended, 0);
  });
});
