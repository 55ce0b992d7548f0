import assert from 'node:assert/strict';
import { anyFrame } from './fuzz/messages.ts';
import { type Judgement, judge } from './fuzz/oracle.ts';
import { Random, seedNow } from './fuzz/random.ts';
import { forget, Peer } from './peer/peer.ts';
import { forEachTarget, type Target, until } from './target.ts';

/** How many frames; BULKHEAD_FRAMES=100000 is the long form. */
const FRAMES = Number(process.env.BULKHEAD_FRAMES ?? 5000);
/** Bytes of a frame, as long as no greeting says otherwise. */
const LIMIT = 4 * 1024 * 1024;
/** Connections at a time. */
const SIDE_BY_SIDE = 6;
const MOST_IN_SESSION = 12;
/** Within this a connection has its answers or its end; longer is a hang (ms). */
const PATIENCE_MS = 60_000;
/** Growth (MiB) of a server that has no leak: what its allocator keeps. */
const MOST_GROWTH = 32;

/** How a session is spoken: greeted, without a greeting, or whatever its first byte makes it. */
type Manner = 'greeted' | 'plain' | 'bare';

interface Session {
  readonly manner: Manner;
  readonly bytes: Buffer;
  readonly frames: number;
  readonly judgement: Judgement;
  /** The last request, which tells that all before it has been read. */
  readonly sentinel: number;
}

/** Frames up to the first that ends the connection or does not end, and a request behind them. */
function makeSession(random: Random, theirs: number): Session {
  const manner = random.pick<Manner>(['greeted', 'greeted', 'greeted', 'greeted', 'plain', 'bare']);
  const greeted = manner === 'greeted';
  const framed = manner !== 'bare';
  const limit = greeted ? theirs : LIMIT;
  const parts: Buffer[] = [];
  const most = 1 + random.below(MOST_IN_SESSION);
  while (parts.length < most) {
    parts.push(anyFrame(random, 100 + parts.length, framed, greeted));
    const { end } = judge(Buffer.concat(parts), limit, greeted);
    if (end === 'bad' || end === 'waiting') break;
  }
  const frames = parts.length;
  const sentinel = 99;
  parts.push(sentinelBytes(framed, sentinel));
  const bytes = Buffer.concat(parts);
  return { manner, bytes, frames, sentinel, judgement: judge(bytes, limit, greeted) };
}

function sentinelBytes(framed: boolean, id: number): Buffer {
  // [0, id, 'echo', ['sentinel']]
  const body = Buffer.concat([Buffer.of(0x94, 0, id), Buffer.from('\xa4echo\x91\xa8sentinel', 'latin1')]);
  return framed ? Buffer.concat([Buffer.of(0, 0, 0, body.length), body]) : body;
}

async function run(session: Session, path: string, random: Random): Promise<void> {
  const { manner, bytes, judgement, sentinel } = session;
  // A peer without a greeting hears as it has begun to speak.
  const framed = manner === 'greeted' || !(bytes[0] !== undefined && bytes[0] >= 0x93 && bytes[0] <= 0x95);
  const peer = await Peer.connect(path, { framed, greet: manner === 'greeted' });
  // The greeting's answer is not that of another request of its id.
  peer.talk.answers.clear();
  peer.talk.lenient = judgement.confused;
  for (const { id, credit } of judgement.requests) peer.talk.asked(id, credit);
  if (random.chance(0.3)) {
    const cut = random.below(bytes.length);
    peer.raw(bytes.subarray(0, cut));
    await new Promise(setImmediate);
    peer.raw(bytes.subarray(cut));
  } else peer.raw(bytes);
  const answered = (id: number) => peer.talk.answers.has(id);
  const done = (): boolean => {
    if (judgement.end === 'bad' || (judgement.mayEnd && peer.isEnded)) return peer.isEnded;
    // Of two requests of one id, one may have had the answer of both; and the last may have been taken for a param.
    if (judgement.confused) return answered(sentinel) || !judgement.requests.some(({ id }) => id === sentinel);
    return judgement.requests.every(({ id }) => answered(id));
  };
  await peer
    .until(`the end of a session that is ${judgement.end} (${judgement.why})`, done, PATIENCE_MS)
    .catch((error) => {
      // That it ended is what some wait for.
      if (!done()) throw error;
    });
  for (const { id, wrong } of judgement.requests) {
    const answer = peer.talk.answers.get(id);
    const fault = answer === undefined || judgement.confused ? undefined : wrong?.(answer);
    assert.equal(fault, undefined, `answer to ${id}`);
  }
  if (judgement.end === 'bad' && !judgement.closing && manner === 'greeted' && !peer.isBroken)
    assert.equal(peer.talk.reason?.code, 'bad-frame', `reason of the end, for: ${judgement.why}`);
  if (judgement.end === 'bad' && !judgement.requests.some(({ id }) => id === sentinel))
    assert.ok(!answered(sentinel), `answered behind: ${judgement.why}`);
  await peer.leave();
  forget(peer);
}

/** How many frames were sent, and how many sessions came to which end. */
type Sent = Record<Judgement['end'] | 'frames', number>;

async function fuzz(target: Target, seed: number, frames: number): Promise<Sent> {
  const theirs = Number((await target.connect()).server.frame);
  const sent: Sent = { frames: 0, open: 0, bad: 0, waiting: 0 };
  let sessions = 0;
  const worker = async (): Promise<void> => {
    while (sent.frames < frames) {
      const own = (seed + 7919 * sessions) >>> 0;
      sessions += 1;
      const session = makeSession(new Random(own), theirs);
      sent.frames += session.frames;
      sent[session.judgement.end] += 1;
      await run(session, target.socket, new Random(own + 1)).catch((error) => {
        const hex = session.bytes.subarray(0, 1000).toString('hex');
        const { message } = error as Error;
        throw new Error(
          `BULKHEAD_SEED=${own} (${session.manner}): ${message}\nsent: ${hex}\nit said: ${target.said.slice(-1000)}`,
        );
      });
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: SIDE_BY_SIDE }, worker));
  const failed = ended.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return sent;
}

forEachTarget('fuzz', (target) => {
  it(`of ${FRAMES} frames comes to no crash, no leak, no wrong answer, and an end where there has to be one`, async function () {
    this.timeout(60_000 + FRAMES * 60);
    const seed = seedNow();
    const warm = Math.ceil(FRAMES / 4);
    await fuzz(target(), seed, warm);
    const before = {
      memory: target().memory(),
      descriptors: target().descriptors(),
      threads: target().threads(),
    };
    const sent = await fuzz(target(), (seed + 1_000_003) >>> 0, FRAMES - warm);
    // Of each kind enough, or the frames are not what they are to be.
    const least = (FRAMES - warm) / 100;
    assert.ok(sent.open > least && sent.bad > least && sent.waiting > least / 4, JSON.stringify(sent));
    // One connection, that of the second look, is still open.
    const more = () => target().descriptors().length - before.descriptors.length;
    await until('no more descriptors than before', () => more() <= 1).catch(() => {
      assert.deepEqual(target().descriptors(), before.descriptors);
    });
    const grown = target().memory() - before.memory;
    assert.ok(grown < MOST_GROWTH, `${grown.toFixed(1)} MiB grown by ${sent.frames} frames`);
    assert.ok(target().threads() <= before.threads + 4, `${target().threads()} threads, ${before.threads} before`);
  });
});
