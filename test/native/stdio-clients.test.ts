import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseActivityPage } from '../../src/diagnose/activity-page.ts';
import { prepare } from './native-programs.ts';
import { assertSmall, Bridge, isThere, PYTHON_SERVER, RawClient } from './stdio-bridge.ts';

/** What one client does, or leaves undone, and what it must not do to its program, the bridge and the others. */
describe('plugin-stdio, and clients in the way of others', function () {
  this.timeout(60_000);
  before(prepare);
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  async function start(options: readonly string[], command: readonly string[] = PYTHON_SERVER): Promise<Bridge> {
    const bridge = await Bridge.start(options, command);
    ends.push(() => bridge.end());
    return bridge.ready();
  }

  async function open(path: string): Promise<RawClient> {
    const client = await RawClient.open(path);
    ends.push(() => client.socket.destroy());
    return client;
  }

  async function probe(bridge: Bridge): Promise<void> {
    const asking = await open(bridge.probe);
    await asking.until('a pass', () => asking.closed);
  }

  const slotsOf = (bridge: Bridge) =>
    parseActivityPage(readFileSync(bridge.page), Number(process.hrtime.bigint() / 1_000_000n))?.slots ?? [];
  const inHand = (bridge: Bridge) => slotsOf(bridge).reduce((sum, slot) => sum + slot.inFlight, 0);

  it('passes a probe when the pings are answered, without waiting for anything else to happen', async () => {
    for (const kind of ['connection', 'shared']) {
      const bridge = await start([`--process=${kind}`]);
      await (await open(bridge.socket)).greet();
      // One that waited for the next tick of the bridge would take a second each time.
      const began = Date.now();
      for (let count = 0; count < 20; count++) await probe(bridge);
      assert.ok(Date.now() - began < 10_000, `${Date.now() - began} ms`);
    }
  });

  for (const protocol of ['lines', 'raw'])
    it(`gives a client that reads late all that its program said before it ended, with ${protocol}`, async () => {
      const source = 'read count; yes xxxxxxxxx | head -c "$count"';
      const bridge = await start([`--protocol=${protocol}`, '--connections=32'], ['/bin/sh', '-c', source]);
      // Some of them more than sockets and pipes hold, some less, and some just as much.
      const counts = Array.from({ length: 20 }, (_, n) => 360_000 + n * 20_000);
      const clients = await Promise.all(counts.map(() => open(bridge.socket)));
      clients.forEach((client, n) => {
        client.socket.pause();
        client.say(String(counts[n]));
      });
      await pause(1500);
      for (const client of clients) client.socket.resume();
      for (const client of clients) await client.until('the end', () => client.closed);
      assert.deepEqual(
        clients.map(({ text }) => text.length),
        counts,
      );
    });

  for (const kind of ['connection', 'shared'])
    it(`reads no more from a client that reads no answers, with a process that is ${kind}`, async () => {
      const bridge = await start([`--process=${kind}`]);
      const client = await open(bridge.socket);
      client.say('{}');
      await client.until('an answer', () => client.lines.length === 1);
      const each = client.text.length;
      client.socket.pause();
      const count = 400_000;
      client.socket.write('{}\n'.repeat(count));
      await pause(1000);
      assert.ok(client.socket.writableLength > 600_000, String(client.socket.writableLength));
      assertSmall(bridge);
      client.socket.resume();
      await client.until('all answers', () => client.text.length === each * (count + 1));
    });

  it('lets go of a client that goes after it has ended its half', async () => {
    const command = ['/bin/sh', '-c', 'echo there; exec sleep 20'];
    const bridge = await start(['--protocol=raw', '--connections=1'], command);
    const [one, other] = [await open(bridge.socket), await open(bridge.socket)];
    await one.until('its program', () => one.lines.length === 1);
    one.socket.end('x');
    await pause(300);
    assert.deepEqual([one.closed, other.lines], [false, []]);
    one.socket.destroy();
    await other.until('its turn', () => other.lines.length === 1);
  });

  it('passes a probe beside a client that does not read', async () => {
    const bridge = await start(['--process=connection', '--message=1000000']);
    const [greedy, other] = [await open(bridge.socket), await open(bridge.socket)];
    await greedy.greet();
    await other.greet();
    greedy.socket.pause();
    for (let id = 0; id < 5; id++)
      greedy.say({ id, method: 'tools/call', params: { name: 'bytes', arguments: { count: 900_000 } } });
    await bridge.running.until(
      'more than it reads',
      () => slotsOf(bridge).some(({ inFlight }) => inFlight === 4),
      15_000,
    );
    for (let count = 0; count < 3; count++) await probe(bridge);
    // A program that answers no ping, whose client reads, fails it all the same.
    void other.tool(1, 'block', { seconds: 2 });
    await bridge.running.until('it in hand', () => slotsOf(bridge).some(({ method }) => method === 'tools/call block'));
    const asking = await open(bridge.probe);
    await asking.until('a pass', () => asking.closed);
    assert.ok(other.answers.some(({ id }) => id === 1));
  });

  it('passes a probe beside a program that is ending', async () => {
    const bridge = await start(['--process=connection']);
    const client = await open(bridge.socket);
    await client.greet();
    const pid = Number(await client.tool(1, 'pid'));
    client.say({ id: 2, method: 'tools/call', params: { name: 'block', arguments: { seconds: 30 } } });
    await bridge.running.until('it in hand', () => inHand(bridge) === 1);
    const asking = await open(bridge.probe);
    await bridge.running.until('a ping in hand', () => inHand(bridge) === 2);
    assert.equal(asking.closed, false);
    client.socket.destroy();
    await asking.until('a pass', () => asking.closed);
    // It has 5 s for the end of its input to end it.
    assert.ok(isThere(pid));
  });

  it('greets no program as one refused to be greeted', async () => {
    const bridge = await start(['--process=connection']);
    const client = await open(bridge.socket);
    client.say({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', refuse: true } });
    assert.match(JSON.stringify(await client.answer(1)), /refused/);
    assert.match(await client.tool(2, 'exit', { status: 3 }), /ended with status 3 while it had this request/);
    await client.greet();
    assert.equal(await client.tool(3, 'echo', { text: 'served' }), 'served');
    assert.doesNotMatch(bridge.running.err, /BH319/);
  });

  it('leaves a program its time to end that closes its output first', async () => {
    const source = 'echo there; cat >/dev/null; exec >&-; sleep 2.5; echo done >&2';
    const bridge = await start(['--protocol=raw'], ['/bin/sh', '-c', source]);
    const client = await open(bridge.socket);
    await client.until('its program', () => client.lines.length === 1);
    client.socket.destroy();
    await bridge.running.until('its last word', () => /^done$/m.test(bridge.running.err), 15_000);
  });

  it('does not give up on programs that end of what their clients say', async () => {
    const bridge = await start(['--protocol=raw'], ['/usr/bin/grep', 'needle']);
    for (let round = 0; round < 12; round++) {
      const client = await open(bridge.socket);
      // That is an end with status 1, the end of nothing at all, too.
      client.socket.end(round % 2 === 0 ? 'hay\n' : '');
      await client.until('the end', () => client.closed);
    }
    const client = await open(bridge.socket);
    client.socket.end('a needle\n');
    await client.until('the end', () => client.closed);
    assert.deepEqual(client.lines, ['a needle']);
  });

  it('serves 16 clients at a time where nothing is said about it', async () => {
    const bridge = await start(['--protocol=lines', '--process=shared'], ['/usr/bin/cat']);
    const clients = await Promise.all(Array.from({ length: 17 }, () => open(bridge.socket)));
    for (const client of clients) client.say('x');
    const served = () => clients.filter(({ lines }) => lines.length === 1);
    await bridge.running.until('16 answers', () => served().length >= 16);
    await pause(300);
    assert.equal(served().length, 16);
  });
});
