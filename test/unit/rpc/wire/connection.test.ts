import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '../../../../src/rpc/wire/connection.ts';
import type { Message } from '../../../../src/rpc/wire/message.ts';

interface End {
  readonly connection: Connection;
  readonly messages: Message[];
  readonly closed: Promise<Error | undefined>;
}

function endOf(socket: Socket, takesBare = false): End {
  const messages: Message[] = [];
  let tell: (reason: Error | undefined) => void = () => {};
  const closed = new Promise<Error | undefined>((resolve) => {
    tell = resolve;
  });
  const connection = new Connection({
    socket,
    limit: 100_000,
    takesBare,
    message: (message) => messages.push(message),
    closed: tell,
  });
  return { connection, messages, closed };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('rpc: a connection', function () {
  this.timeout(60_000);

  const directory = mkdtempSync(join(tmpdir(), 'wire-'));
  const path = join(directory, 's.sock');
  let server: Server;
  let sockets: Socket[] = [];

  before((done) => {
    server = createServer((socket) => sockets.push(socket)).listen(path, done);
  });
  after(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });

  async function pair(): Promise<[Socket, Socket]> {
    sockets = [];
    const client = createConnection(path);
    await until(() => sockets.length === 1);
    return [client, sockets[0] as Socket];
  }

  it('carries messages both ways, all of one turn in one write', async () => {
    const [client, accepted] = await pair();
    const [one, other] = [endOf(client), endOf(accepted)];
    let chunks = 0;
    accepted.on('data', () => chunks++);
    for (let id = 0; id < 50; id++) one.connection.send([0, id, 'echo', [id]]);
    await until(() => other.messages.length === 50);
    assert.equal(chunks, 1);
    other.connection.send([1, 3, null, Buffer.alloc(90_000, 1)]);
    await until(() => one.messages.length === 1);
    one.connection.end();
    assert.equal(await other.closed, undefined);
    assert.equal(await one.closed, undefined);
  });

  it('tells the peer why it ends', async () => {
    const [client, accepted] = await pair();
    const [one, other] = [endOf(client), endOf(accepted)];
    client.write(Buffer.from([0, 0, 0, 1, 0xc1]));
    const reason = await other.closed;
    assert.match(String(reason), /MessagePack does not use/);
    await one.closed;
    assert.deepEqual(
      one.messages.map((each) => (each.kind === 'notification' ? [each.method, each.params] : each)),
      [['$close', ['bad-frame', 'a byte that MessagePack does not use']]],
    );
  });

  it('tells the peer why it ends although much lies unread', async () => {
    const [client, accepted] = await pair();
    const one = endOf(client);
    const other = endOf(accepted);
    client.write(Buffer.concat([Buffer.from([0, 0, 0, 1, 0xc1]), Buffer.alloc(500_000)]));
    await other.closed;
    await one.closed;
    assert.equal(one.messages.length, 1);
  });

  it('ends for a message over the limit before that has come', async () => {
    const [client, accepted] = await pair();
    const [one, other] = [endOf(client), endOf(accepted)];
    one.connection.send([2, 'x', [Buffer.alloc(200_000)]]);
    assert.match(String(await other.closed), /over the limit/);
    await one.closed;
  });

  it('ends although the peer reads nothing', async () => {
    const [client, accepted] = await pair();
    client.pause();
    const other = endOf(accepted);
    for (let count = 0; count < 50; count++) other.connection.send([2, 'x', [Buffer.alloc(90_000)]]);
    await until(() => other.connection.backlog > 1_000_000);
    other.connection.close('overloaded', 'reads nothing');
    assert.match(String(await other.closed), /reads nothing/);
    client.destroy();
  });

  it('sends no lengths to a peer that sends none', async () => {
    const [client, accepted] = await pair();
    const other = endOf(accepted, true);
    const received: Buffer[] = [];
    client.on('data', (chunk: Buffer) => received.push(chunk));
    client.write(Buffer.from([0x94, 0, 5, 0xa1, 0x78, 0x90]));
    await until(() => other.messages.length === 1);
    other.connection.send([1, 5, null, 'y']);
    await until(() => received.length === 1);
    assert.deepEqual([...Buffer.concat(received)], [0x94, 1, 5, 0xc0, 0xa1, 0x79]);
    client.write(Buffer.from([0xc1]));
    assert.ok((await other.closed) instanceof Error);
    assert.equal(received.length, 1);
  });
});
