import assert from 'node:assert/strict';
import { asFailure, type Failure } from '../../../src/base/failure.ts';
import { Owner } from '../../../src/base/owner.ts';
import { Bus, type CallParts } from '../../../src/systemd/bus.ts';
import { encode } from '../../../src/systemd/encoder.ts';
import { MESSAGE } from '../../../src/systemd/wire.ts';
import { FakePeer, ManualClock, until } from './fake-peer.ts';

const CALL: CallParts = { destination: 'a.b', path: '/', interface: 'a.b', member: 'Method' };

describe('Bus', () => {
  let peer: FakePeer;
  let clock: ManualClock;
  let buses: Bus[];
  let defects: unknown[];

  beforeEach(async () => {
    peer = new FakePeer();
    clock = new ManualClock();
    buses = [];
    defects = [];
    await peer.listen();
  });

  afterEach(async () => {
    for (const bus of buses) bus.release();
    await peer.close();
    assert.deepEqual(defects, []);
    assert.deepEqual(Owner.living(), []);
    assert.equal(clock.waiting, 0, 'timers are left');
  });

  function make(kind: 'bus' | 'peer', maxIncomingBytes = 1 << 20): Bus {
    const onDefect = (thrown: unknown) => defects.push(thrown);
    const bus = new Bus({ name: 'test', sockets: [peer.path], kind, clock, onDefect, maxIncomingBytes });
    buses.push(bus);
    return bus;
  }

  async function up(kind: 'bus' | 'peer' = 'bus', maxIncomingBytes?: number): Promise<Bus> {
    const bus = make(kind, maxIncomingBytes);
    bus.start();
    await until('up', () => bus.up);
    return bus;
  }

  async function codeOf(call: Promise<unknown>): Promise<string> {
    return call.then(
      () => 'answered',
      (thrown: unknown) => asFailure(thrown).code,
    );
  }

  it('says Hello to a bus, and not to a peer', async () => {
    assert.equal((await up('bus')).uniqueName, ':1.42');
    assert.equal((await up('peer')).uniqueName, undefined);
  });

  it('returns the answer, and the reason of a refusal', async () => {
    const bus = await up();
    peer.onMessage = (call) => {
      if (call.head.member === 'Method') peer.answer(call, 'st', ['x', 'infinity']);
      else {
        const error = { type: MESSAGE.error, errorName: 'a.b.No', replySerial: call.head.serial };
        peer.send({ ...error, signature: 's', body: ['because'] });
      }
    };
    assert.deepEqual(await bus.call(CALL), ['x', 'infinity']);
    const failure: Failure = await bus
      .call({ ...CALL, member: 'Other' })
      .then(() => assert.fail('it was answered'), asFailure);
    assert.deepEqual([failure.code, failure.dbusName, failure.message], ['BH504', 'a.b.No', 'Other: because']);
  });

  it('refuses calls while it is not connected, after checking them', async () => {
    const bus = make('bus');
    assert.equal(await codeOf(bus.call(CALL)), 'BH501');
    assert.equal(await codeOf(bus.call({ ...CALL, signature: 'u', body: ['x'] })), 'BH503');
    assert.equal(bus.pendingCalls, 0);
  });

  it('gives up after the timeout; a late answer is dropped', async () => {
    const bus = await up();
    const call = bus.call(CALL, { timeoutMs: 200 });
    await until('the call arrived', () => peer.received.length === 1);
    clock.advance(199);
    assert.equal(bus.pendingCalls, 1);
    clock.advance(1);
    assert.equal(await codeOf(call), 'BH502');
    const [late] = peer.received;
    assert.ok(late);
    peer.answer(late);
    await until('it was counted', () => bus.counters.unsolicited === 1);
  });

  it('rejects calls in flight at once when the connection is lost, and connects again for ever', async () => {
    const bus = await up();
    for (let round = 1; round <= 5; round++) {
      const calls = [codeOf(bus.call(CALL)), codeOf(bus.call(CALL))];
      peer.cut();
      assert.deepEqual(await Promise.all(calls), ['BH501', 'BH501']);
      assert.equal(bus.up, false);
      clock.advance(2000);
      await until('up again', () => bus.up);
    }
    assert.equal(bus.counters.losses, 5);
  });

  it('waits longer after each failure, up to two seconds', async () => {
    const bus = make('peer');
    peer.greeting = 'REJECTED EXTERNAL\r\n';
    bus.start();
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 9; attempt++) {
      // The handshake's own timer is gone when the pause before the next attempt is the only one that runs.
      await until(
        `attempt ${attempt}`,
        () => peer.connections === attempt && clock.next !== undefined && clock.next <= 2000,
      );
      delays.push(clock.next ?? 0);
      clock.advance(clock.next ?? 0);
    }
    assert.deepEqual(delays, [20, 40, 80, 160, 320, 640, 1280, 2000, 2000]);
  });

  it('gives up a peer that is silent in the handshake', async () => {
    peer.greeting = '';
    const bus = make('peer');
    bus.start();
    await until('connected', () => peer.connections === 1);
    clock.advance(5000);
    clock.advance(100);
    await until('tried again', () => peer.connections === 2);
    assert.equal(bus.up, false);
  });

  for (const [what, greeting] of [
    ['an endless line', 'x'.repeat(10_000)],
    ['something else than D-Bus', 'HTTP/1.1 400 Bad Request\r\n'],
    ['a refusal', 'REJECTED EXTERNAL\r\n'],
  ] as const) {
    it(`is not up when the handshake is answered by ${what}`, async () => {
      peer.greeting = greeting;
      const bus = make('peer');
      bus.start();
      await until('answered', () => peer.greeted === 1);
      peer.greeting = 'OK 00\r\n';
      await until('given up', () => {
        clock.advance(10);
        return peer.connections >= 2;
      });
      await until('up', () => bus.up);
    });
  }

  it('ends a connection on which no messages come any more, and makes a new one', async () => {
    const bus = await up();
    const call = codeOf(bus.call(CALL));
    peer.write('this is no message at all, but long enough to be looked at');
    assert.equal(await call, 'BH501');
    clock.advance(100);
    await until('up again', () => bus.up);
  });

  it('waits for the rest of half a message', async () => {
    const bus = await up();
    peer.onMessage = (call) => {
      const bytes = encode({ type: MESSAGE.return, replySerial: call.head.serial, signature: 's', body: ['whole'] }, 7);
      peer.write(bytes.subarray(0, 20));
      setTimeout(() => peer.write(bytes.subarray(20)), 20);
    };
    assert.deepEqual(await bus.call(CALL), ['whole']);
  });

  it('fails a call whose answer is too large or cannot be decoded, and goes on', async () => {
    const bus = await up('bus', 10_000);
    peer.onMessage = (call) => {
      const answer = { type: MESSAGE.return, replySerial: call.head.serial, signature: 's' };
      if (call.head.member === 'Large') peer.send({ ...answer, body: ['x'.repeat(100_000)] });
      else if (call.head.member === 'Broken') {
        const bytes = encode({ ...answer, body: ['text'] }, 7);
        bytes[bytes.length - 1] = 1; // the NUL at the end
        peer.write(bytes);
      } else peer.answer(call);
    };
    assert.equal(await codeOf(bus.call({ ...CALL, member: 'Large' })), 'BH504');
    assert.equal(bus.counters.oversize, 1);
    assert.equal(await codeOf(bus.call({ ...CALL, member: 'Broken' })), 'BH504');
    assert.equal(await codeOf(bus.call(CALL)), 'answered');
  });

  it('keeps at most 100 calls at the bus daemon, and sends the rest in turn', async () => {
    const bus = await up();
    const calls = Array.from({ length: 250 }, () => codeOf(bus.call(CALL)));
    await until('a hundred arrived', () => peer.received.length === 100);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(peer.received.length, 100);
    peer.onMessage = (call) => peer.answer(call);
    for (const call of [...peer.received]) peer.answer(call);
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['answered']));
  });

  it('refuses more calls than it can remember', async () => {
    const bus = await up();
    const calls = Array.from({ length: 4096 }, () => codeOf(bus.call(CALL)));
    assert.equal(await codeOf(bus.call(CALL)), 'BH507');
    bus.release();
    assert.deepEqual(new Set(await Promise.all(calls)), new Set(['BH501']));
  });

  it('hands signals of a peer to who wants them, and calls a listener that throws a defect', async () => {
    const bus = await up('peer');
    const seen: unknown[] = [];
    const pattern = { sender: 'a.b', interface: 'a.b', member: 'S' };
    bus.subscribe({ ...pattern, arg0: 'x' }, () => {
      throw new Error('on purpose');
    });
    bus.subscribe({ ...pattern, pathNamespace: '/a' }, ({ body }) => seen.push(body));
    bus.subscribe({ ...pattern, path: '/a/c' }, ({ head }) => seen.push(head.path));
    const signal = { type: MESSAGE.signal, interface: 'a.b', member: 'S', signature: 's' };
    peer.send({ ...signal, path: '/a/b', body: ['x'] });
    peer.send({ ...signal, path: '/ab', body: ['y'] });
    peer.send({ ...signal, path: '/a/c', body: ['z'] });
    await until('all came', () => seen.length === 3);
    assert.deepEqual(seen, [['x'], ['z'], '/a/c']);
    assert.equal(String(defects.pop()), 'Error: on purpose');
  });

  it('adds match rules again on a new connection', async () => {
    const bus = make('bus');
    const subscription = bus.subscribe({ sender: ':1.7', interface: 'a.b', member: 'S' }, () => undefined);
    bus.start();
    await subscription.ready;
    await until('up', () => bus.up);
    peer.cut();
    await until('down', () => !bus.up);
    clock.advance(2000);
    await until('up', () => bus.up);
    assert.equal(bus.matchRules, 1);
    subscription.release();
    assert.equal(bus.matchRules, 0);
  });

  it('fails who waits for it in time, or when it is given up', async () => {
    const bus = make('bus');
    const late = codeOf(bus.whenUp(100));
    clock.advance(100);
    assert.equal(await late, 'BH505');
    const waiting = codeOf(bus.whenUp(100));
    bus.release();
    assert.equal(await waiting, 'BH505');
  });
});
