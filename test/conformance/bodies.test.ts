import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { pipe } from '../../src/kernel/native.ts';
import { addon } from '../../src/rpc/wire/addon.ts';
import { Connection } from '../../src/rpc/wire/connection.ts';
import { DescriptorSocket } from '../../src/rpc/wire/descriptor-socket.ts';
import type { Message, Outgoing } from '../../src/rpc/wire/message.ts';
import { HANG_MS } from './peer/peer.ts';
import { forEachTarget, type Target, until } from './target.ts';

const MIB = 1024 * 1024;

/** A client that can send descriptors, by its own words and by our messages. */
class Carrier {
  readonly socket: DescriptorSocket;
  readonly #connection: Connection;
  readonly #waiting = new Map<number, (message: Message & { kind: 'response' }) => void>();
  #ids = 0;
  features: readonly string[] = [];
  closed: string | undefined;
  ended = false;

  constructor(target: Target) {
    const fd = addon().connectUnix(target.socket);
    assert.ok(fd >= 0, `connect: ${fd}`);
    this.socket = new DescriptorSocket(addon(), fd);
    this.#connection = new Connection({
      socket: this.socket,
      limit: 4 * MIB,
      takesBare: false,
      message: (message) => {
        if (message.kind === 'response') this.#waiting.get(message.id)?.(message);
        if (message.kind === 'notification' && message.method === '$close') this.closed = String(message.params[0]);
      },
      closed: () => {
        this.ended = true;
      },
    });
  }

  async call(method: string, ...params: unknown[]): Promise<unknown> {
    const id = this.#ids++;
    const answer = new Promise<Message & { kind: 'response' }>((resolve) => this.#waiting.set(id, resolve));
    this.#connection.send([0, id, method, params] as Outgoing);
    const { error, result } = await within(answer, `an answer to ${method}`);
    if (error !== null) throw Object.assign(new Error(JSON.stringify(error)), error);
    return result;
  }

  async greet(features: readonly string[]): Promise<this> {
    const greeting = (await this.call('$hello', { protocol: 1, frame: 4 * MIB, features })) as {
      features: string[];
      frame: number;
    };
    this.features = greeting.features;
    this.#connection.peerLimit = greeting.frame;
    if (features.includes('body') && greeting.features.includes('body')) this.#connection.carryBodies();
    return this;
  }

  /** A call of `size` with such bodies, and these descriptors. */
  claim(bodies: readonly { readonly index: number; readonly length: number }[], fds: readonly number[]): void {
    const params = bodies.map(({ index, length }) => {
      const bytes = Buffer.from([0xc7, 9, 1, index, 0, 0, 0, 0, 0, 0, 0, 0]);
      bytes.writeBigUInt64BE(BigInt(length), 4);
      return bytes;
    });
    const message = Buffer.concat([
      Buffer.from([0x94, 0, 0xcd, 0xff, 0xff, 0xa4]),
      Buffer.from('size'),
      Buffer.from([0x90 | bodies.length]),
      ...params,
    ]);
    const frame = Buffer.alloc(4 + message.length);
    frame.writeUInt32BE(message.length);
    message.copy(frame, 4);
    this.socket.writeWith(frame, fds, 0);
  }

  leave(): void {
    this.#connection.destroy();
  }
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${HANG_MS} ms`)), HANG_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

forEachTarget('bodies', (target, kind) => {
  if (!kind.takes.includes('body')) {
    it('are not named by this one, so binaries go as bytes', async () => {
      const carrier = await new Carrier(target()).greet(['body']);
      assert.ok(!carrier.features.includes('body'));
      assert.deepEqual(await carrier.call('size', Buffer.alloc(2 * MIB)), 2 * MIB);
      carrier.leave();
    });
    return;
  }
  let carrier: Carrier;
  beforeEach(async () => {
    carrier = await new Carrier(target()).greet(['body']);
  });
  afterEach(async () => {
    carrier.leave();
    const other = await new Carrier(target()).greet(['body']);
    assert.equal(await other.call('echo', 'well'), 'well');
    other.leave();
  });

  it('bring binaries there and back that no frame has room for', async () => {
    const content = randomBytes(20 * MIB + 1);
    const back = await carrier.call('echo', content);
    assert.ok(back instanceof Uint8Array && content.equals(back), `${(back as Uint8Array).length} bytes`);
    assert.equal(await carrier.call('size', content.subarray(0, 5 * MIB)), 5 * MIB);
  });

  it('may be in lists and maps, and several of them', async () => {
    const [one, other] = [randomBytes(3 * MIB), randomBytes(6 * MIB)];
    const back = (await carrier.call('echo', { one, list: [other], text: 'x' })) as Record<string, unknown>;
    assert.equal(back.text, 'x');
    assert.ok(one.equals(back.one as Uint8Array) && other.equals((back.list as Uint8Array[])[0] as Uint8Array));
  });

  it('are what a result becomes that no frame has room for', async () => {
    const bytes = (await carrier.call('bytes', 9_000_000)) as Uint8Array;
    assert.equal(bytes.length, 9_000_000);
    assert.ok(bytes.every((byte) => byte === 0x62));
  });

  it('are written to without harm to anybody', async () => {
    const bytes = (await carrier.call('bytes', 9_000_000)) as Uint8Array;
    bytes.fill(1);
    assert.equal(((await carrier.call('bytes', 9_000_000)) as Uint8Array)[0], 0x62);
  });

  it('do not come to who has not named them', async () => {
    const plain = await new Carrier(target()).greet([]);
    await assert.rejects(plain.call('bytes', 9_000_000), { code: 'too-large' });
    plain.leave();
  });

  it('leave no descriptor behind', async () => {
    const count = () => target().descriptors().length;
    const before = count();
    for (let each = 0; each < 20; each++) await carrier.call('echo', Buffer.alloc(5 * MIB, each));
    await until('no more descriptors than before', () => count() <= before + 1);
  });

  if (kind.name === 'c') {
    it('are not what parts become that just fit a frame', async () => {
      const [part] = (await carrier.call('part', 4_170_000)) as Uint8Array[];
      assert.equal(part?.length, 4_170_000);
    });

    it('are sent as far as they are taken, and 128 MiB ahead', async () => {
      const files = () =>
        target()
          .descriptors()
          .filter((name) => name.includes('memfd')).length;
      carrier.socket.pause();
      const answers = Array.from({ length: 12 }, () => carrier.call('bytes', 16 * MIB));
      // Others are in its hands for as long as it makes and sends them.
      let looks = 0;
      await until('one to wait for good', () => {
        looks = files() === 1 ? looks + 1 : 0;
        return looks === 20;
      });
      const other = await new Carrier(target()).greet(['body']);
      assert.equal(await other.call('echo', 'well'), 'well');
      other.leave();
      carrier.socket.resume();
      for (const answer of answers) assert.equal(((await answer) as Uint8Array).length, 16 * MIB);
    });
  }

  const body = (length: number) => addon().makeBody(Buffer.alloc(length));
  const hostile: Record<string, (sent: Carrier) => void> = {
    'without a descriptor': (sent) => sent.claim([{ index: 0, length: 100 }], []),
    'with fewer descriptors than bodies': (sent) =>
      sent.claim(
        [
          { index: 0, length: 100 },
          { index: 1, length: 100 },
        ],
        [body(100)],
      ),
    'of another length': (sent) => sent.claim([{ index: 0, length: 101 }], [body(100)]),
    'of no length that there can be': (sent) => sent.claim([{ index: 0, length: 2 ** 52 }], [body(100)]),
    'mentioned twice': (sent) =>
      sent.claim(
        [
          { index: 0, length: 100 },
          { index: 0, length: 100 },
        ],
        [body(100), body(100)],
      ),
    'with a gap before it': (sent) => sent.claim([{ index: 1, length: 100 }], [body(100), body(100)]),
    'of an index beyond all': (sent) => sent.claim([{ index: 200, length: 100 }], [body(100)]),
    'that can still change': (sent) => sent.claim([{ index: 0, length: 100 }], [openSync('/etc/passwd', 'r')]),
    'that is no file': (sent) => {
      const { read, write } = pipe();
      addon().closeDescriptor(write);
      sent.claim([{ index: 0, length: 100 }], [read]);
    },
    'with descriptors that nobody mentions': (sent) => {
      // [2, "x", []], which nobody has.
      const frame = Buffer.from([0, 0, 0, 5, 0x93, 2, 0xa1, 0x78, 0x90]);
      for (let each = 0; each < 65; each++) sent.socket.writeWith(frame, [body(1)], 0);
    },
  };
  for (const [what, send] of Object.entries(hostile))
    it(`end the connection ${what}`, async () => {
      const before = target().descriptors().length;
      send(carrier);
      await until('the end', () => carrier.ended);
      assert.ok(carrier.closed === undefined || carrier.closed === 'bad-frame', carrier.closed);
      await until('no descriptor left of it', () => target().descriptors().length < before);
    });

  it('of one that has not greeted are none: the descriptors are closed, and the message ends the connection', async () => {
    const plain = new Carrier(target());
    assert.equal(await plain.call('echo', 1), 1);
    const before = target().descriptors().length;
    plain.claim([{ index: 0, length: 100 }], [body(100)]);
    await until('the end', () => plain.ended);
    assert.equal(plain.closed, 'bad-frame');
    await until('no descriptor left of it', () => target().descriptors().length < before);
  });
});
