import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseActivityPage, parseFlightRecords } from '../../src/diagnose/activity-page.ts';
import { messages, prepare } from './native-programs.ts';
import { assertSmall, Bridge, isThere, PYTHON_SERVER, RawClient } from './stdio-bridge.ts';

/** Errors of the bridge; docs/stdio.md. */
const [PROGRAM_ENDED, BUSY] = [-32050, -32051];

describe('plugin-stdio, for an MCP server', function () {
  this.timeout(60_000);
  before(prepare);
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  async function start(
    process: string,
    more: readonly string[] = [],
    environment?: Record<string, string>,
  ): Promise<Bridge> {
    const bridge = await Bridge.start([`--process=${process}`, ...more], PYTHON_SERVER, environment);
    ends.push(() => bridge.end());
    return bridge;
  }

  async function raw(bridge: Bridge): Promise<RawClient> {
    const client = await RawClient.open(bridge.socket);
    ends.push(() => client.socket.destroy());
    return client;
  }

  /** One that has been greeted. */
  async function open(bridge: Bridge): Promise<RawClient> {
    const client = await raw(bridge);
    await client.greet();
    return client;
  }

  const code = (answer: Record<string, unknown>) => (answer.error as { code: number } | undefined)?.code;
  const now = () => Number(process.hrtime.bigint() / 1_000_000n);
  const pageOf = (bridge: Bridge) => parseActivityPage(readFileSync(bridge.page), now());

  for (const kind of ['connection', 'shared']) {
    describe(`with a process that is ${kind}`, () => {
      it('tells requests of clients apart, whatever they call them', async () => {
        const bridge = await (await start(kind)).ready();
        const clients = await Promise.all([open(bridge), open(bridge), open(bridge)]);
        const ids = [1, '1', 'a "quoted" id', -5, 0];
        await Promise.all(
          clients.flatMap((client, index) =>
            ids.map(async (id) =>
              assert.equal(await client.tool(id, 'echo', { text: `${index} ${id}` }), `${index} ${id}`),
            ),
          ),
        );
        for (const client of clients) assert.equal(client.answers.length, ids.length + 1);
      });

      it('tells progress to whoever wants it, by its own token', async () => {
        const bridge = await (await start(kind)).ready();
        const clients = await Promise.all([open(bridge), open(bridge)]);
        await Promise.all(
          clients.map((client, n) =>
            client.tool(1, 'progress', { steps: n + 2 }, { _meta: { progressToken: 'same' } }),
          ),
        );
        clients.forEach((client, n) => {
          const steps = client.answers.filter(({ method }) => method === 'notifications/progress');
          const expected = Array.from({ length: n + 2 }, (_, step) => ({ progressToken: 'same', progress: step + 1 }));
          assert.deepEqual(
            steps.map(({ params }) => params),
            expected,
          );
        });
      });

      it('lets a request be cancelled by the client that made it, and by nobody else', async () => {
        const bridge = await (await start(kind)).ready();
        const [one, other] = [await open(bridge), await open(bridge)];
        one.say({ id: 'x', method: 'tools/call', params: { name: 'sleep', arguments: { seconds: 0.5 } } });
        await bridge.running.until(
          'the request in hand',
          () => pageOf(bridge)?.slots.some(({ inFlight }) => inFlight > 0) === true,
        );
        other.say({ method: 'notifications/cancelled', params: { requestId: 'x' } });
        assert.equal(await other.tool(1, 'cancelled'), '[]');
        one.say({ method: 'notifications/cancelled', params: { requestId: 'x' } });
        const cancelled = JSON.parse(await one.tool(2, 'cancelled')) as unknown[];
        assert.deepEqual(
          cancelled.map((id) => typeof id),
          ['number'],
        );
        await pause(700);
        // The late answer is nobody's; the id can be used again.
        assert.deepEqual(
          one.answers.filter(({ id }) => id === 'x'),
          [],
        );
        assert.equal(await one.tool('x', 'echo', { text: 'again' }), 'again');
      });

      for (const [how, tool, given, text] of [
        ['is killed', 'die', { signal: 'SIGSEGV' }, /was killed by SIGSEGV while it had this request/],
        ['exits', 'exit', { status: 0 }, /ended with status 0 while it had this request/],
      ] as const)
        it(`answers what a program had in hand that ${how}, starts it again, and greets it as before`, async () => {
          const bridge = await (await start(kind)).ready();
          const [one, other] = [await open(bridge), await open(bridge)];
          const before = await one.tool(1, 'pid');
          one.say({ id: 2, method: 'tools/call', params: { name: 'sleep', arguments: { seconds: 20 } } });
          other.say({
            id: 2,
            method: 'tools/call',
            params: { name: 'sleep', arguments: { seconds: kind === 'shared' ? 20 : 0.2 } },
          });
          await bridge.running.until('both in hand', () => {
            const slots = pageOf(bridge)?.slots ?? [];
            return (
              slots.reduce((sum, { inFlight, method }) => sum + (method === 'tools/call sleep' ? inFlight : 0), 0) === 2
            );
          });
          one.say({ id: 3, method: 'tools/call', params: { name: tool, arguments: given } });
          for (const id of [2, 3]) {
            const answer = await one.answer(id);
            assert.equal(code(answer), PROGRAM_ENDED);
            assert.match((answer.error as { message: string }).message, text);
          }
          const others = await other.answer(2);
          assert.equal(code(others), kind === 'shared' ? PROGRAM_ENDED : undefined);
          const after = await one.tool(4, 'pid');
          assert.notEqual(after, before);
          assert.equal(await other.tool(4, 'echo', { text: 'still here' }), 'still here');
          await bridge.told.until('a status', () =>
            messages(bridge.told).some((each) =>
              each.startsWith('STATUS=The program is started again, for the 1. time'),
            ),
          );
          // The first one was greeted, and so is the second; with a process for each, the one that tried it out, too.
          const greetings = bridge.running.err.split('greeted\n').length - 1;
          assert.equal(greetings, kind === 'shared' ? 2 : 4);
          assert.ok(one.closed === false && other.closed === false);
          const records = parseFlightRecords(readFileSync(bridge.page), now());
          assert.ok(
            records.some(({ kind: of, text: words }) => of === 'ended-badly' && words === `tools/call ${tool}`),
          );
        });

      it('leaves out what is no message, and says so', async () => {
        const bridge = await (await start(kind)).ready();
        const client = await open(bridge);
        assert.equal(await client.tool(1, 'garbage'), 'said');
        assert.equal(client.answers.length, 2);
        assert.match(bridge.running.err, /BH319: a line of the program's output is not a message/);
      });

      it('refuses what two readers could understand differently, and what is no message', async () => {
        const bridge = await (await start(kind)).ready();
        const client = await open(bridge);
        for (const line of [
          '[]',
          '{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
          '{"jsonrpc":"2.0","\\u0069d":1,"method":"ping"}',
          '{"jsonrpc":"2.0","id":1,"method":"initi\\u0061lize"}',
          '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":1},"_meta":{}}}',
          '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"\\u005fmeta":{"progressToken":1}}}',
          '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
          '{"jsonrpc":"2.0","id":null,"method":"ping"}',
          `{"jsonrpc":"2.0","id":"${'x'.repeat(300)}","method":"ping"}`,
          '{"jsonrpc":"1.0","id":1,"method":"ping"}',
          '{"jsonrpc":"2.0","id":1}',
          '{"jsonrpc":"2.0","id":1,"result":1,"error":{}}',
          '"ping"',
        ]) {
          const count = client.lines.length;
          client.say(line);
          await client.until(`answer to ${line}`, () => client.lines.length > count);
          assert.equal(code(JSON.parse(client.lines.at(-1) ?? '') as Record<string, unknown>), -32600, line);
        }
        client.say({ id: 9, method: 'tools/call', params: { name: 'sleep', arguments: { seconds: 0.3 } } });
        client.say({ id: 9, method: 'ping' });
        await client.until('both answers', () => client.answers.filter(({ id }) => id === 9).length === 2);
        assert.deepEqual(client.answers.filter(({ id }) => id === 9).map(code), [-32600, undefined]);
        client.say('GET / HTTP/1.1');
        await client.until('the end', () => client.closed);
        assert.equal(code(client.answers.at(-1) ?? {}), -32700);
      });

      it('lets go of a client whose message is too long, and has no more in hand than it can', async () => {
        const bridge = await (await start(kind, ['--message=2000'])).ready();
        const client = await open(bridge);
        const text = 'x'.repeat(1850);
        assert.equal(await client.tool(1, 'echo', { text }), text);
        for (let id = 100; id < 200; id++)
          client.say({ id, method: 'tools/call', params: { name: 'sleep', arguments: { seconds: 0.5 } } });
        await client.until('100 answers', () => client.answers.filter(({ id }) => Number(id) >= 100).length === 100);
        assert.equal(client.answers.filter((each) => code(each) === BUSY).length, 36);
        const other = await open(bridge);
        client.say('x'.repeat(2001));
        await client.until('the end', () => client.closed);
        assert.equal(await other.tool(1, 'echo', { text: 'served' }), 'served');
      });

      it('ends a program whose message is too long, and answers for it', async () => {
        const bridge = await (await start(kind, ['--message=70000'])).ready();
        const client = await open(bridge);
        assert.equal((await client.tool(1, 'bytes', { count: 60_000 })).length, 60_000);
        client.say({ id: 2, method: 'tools/call', params: { name: 'bytes', arguments: { count: 200_000 } } });
        const { error } = await client.answer(2);
        assert.match((error as { message: string }).message, /sent a message that is too long/);
        assert.equal(await client.tool(3, 'echo', { text: 'again' }), 'again');
      });

      it('answers what it has in hand when it is told to stop, and then ends', async () => {
        const bridge = await (await start(kind)).ready();
        const [client, idle] = [await open(bridge), await open(bridge)];
        const slept = client.tool(1, 'sleep', { seconds: 0.6 });
        await bridge.running.until(
          'it in hand',
          () => pageOf(bridge)?.slots.some(({ inFlight }) => inFlight > 0) === true,
        );
        bridge.running.child.kill('SIGTERM');
        assert.equal(await slept, 'slept');
        assert.equal(await bridge.running.ended, 0);
        assert.ok(client.closed && idle.closed);
        assert.ok(messages(bridge.told).includes('STOPPING=1'));
      });

      it('shows on its page what the program has in hand, and of whom', async () => {
        const bridge = await (await start(kind)).ready();
        const client = await open(bridge);
        const pid = Number(await client.tool(1, 'pid'));
        const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
        const call = client.tool(2, 'sleep', { seconds: 0.5 }, { _meta: { traceparent } });
        await bridge.running.until(
          'it in hand',
          () => pageOf(bridge)?.slots.some(({ inFlight }) => inFlight > 0) === true,
        );
        const slot = pageOf(bridge)?.slots.find(({ inFlight }) => inFlight > 0);
        assert.deepEqual(
          [slot?.inFlight, slot?.method, slot?.tid, slot?.traceId],
          [1, 'tools/call sleep', pid, '0af7651916cd43dd8448eb211c80319c'],
        );
        await call;
        assert.ok(pageOf(bridge)?.slots.every(({ inFlight }) => inFlight === 0));
        assert.equal(pageOf(bridge)?.loopTid, bridge.running.child.pid);
        await pause(1500);
        assert.ok(now() - (pageOf(bridge)?.tick ?? 0) < 10_000);
      });

      it('passes a probe when each program has answered a ping, and not before', async () => {
        const bridge = await (await start(kind, [], { WATCHDOG_USEC: '300000' })).ready();
        const client = await open(bridge);
        await bridge.told.until('WATCHDOG=1', () => messages(bridge.told).includes('WATCHDOG=1'));
        const probe = await RawClient.open(bridge.probe);
        await probe.until('a pass', () => probe.closed);
        const blocked = client.tool(1, 'block', { seconds: 2 });
        await bridge.running.until(
          'it in hand',
          () =>
            pageOf(bridge)?.slots.some(({ method, inFlight }) => inFlight > 0 && method === 'tools/call block') ===
            true,
        );
        await pause(200);
        const signs = messages(bridge.told).filter((each) => each === 'WATCHDOG=1').length;
        const second = await RawClient.open(bridge.probe);
        await pause(800);
        assert.equal(second.closed, false);
        assert.ok(messages(bridge.told).filter((each) => each === 'WATCHDOG=1').length <= signs + 1);
        assert.equal(await blocked, 'unblocked');
        await second.until('a pass', () => second.closed);
      });

      it('gives up on a program that keeps ending, and ends as it did', async () => {
        const bridge = await start(kind, [], { MCP_DIES: '7' });
        assert.equal(await bridge.running.ended, 7);
        assert.match(
          bridge.running.err,
          /BH318: the program keeps ending, and is not started again: the last one ended with status 7/,
        );
        assert.equal(bridge.isReady, false);
        assert.equal(bridge.running.err.split('plugin-stdio: the program ended with status 7').length - 1, 5);
      });

      it('gives up on a program that never says who it is', async () => {
        const bridge = await start(kind, ['--start-ms=200'], { MCP_SILENT: 'yes' });
        await bridge.running.ended;
        assert.equal(bridge.running.child.signalCode, 'SIGKILL');
        assert.match(bridge.running.err, /did not answer 'initialize' in time \(BH319\)/);
        assert.equal(bridge.isReady, false);
      });

      it('keeps from the program what is about the bridge', async () => {
        const bridge = await (await start(kind, [], { GIVEN: 'this' })).ready();
        const client = await open(bridge);
        const environment = JSON.parse(await client.tool(1, 'environment')) as Record<string, string>;
        assert.equal(environment.GIVEN, 'this');
        const about = Object.keys(environment).filter((name) =>
          /^(LISTEN_|NOTIFY_|WATCHDOG_|BULKHEAD_ACTIVITY)/.test(name),
        );
        assert.deepEqual(about, []);
      });
    });
  }

  it('lets a program of its own ask its client, and answers for clients that share one', async () => {
    for (const kind of ['connection', 'shared']) {
      const bridge = await (await start(kind)).ready();
      const client = await open(bridge);
      client.say({ id: 1, method: 'tools/call', params: { name: 'sample', arguments: {} } });
      if (kind === 'connection') {
        const asked = () => client.answers.find(({ method }) => method === 'sampling/createMessage');
        await client.until('the question', () => asked() !== undefined);
        assert.equal(typeof asked()?.id, 'number');
        client.say({ id: 4711, result: { wrong: true } });
        client.say({ id: asked()?.id, result: { right: true } });
      }
      const { result } = await client.answer(1);
      const [{ text = '' } = {}] = (result as { content: { text?: string }[] }).content;
      assert.match(text, kind === 'connection' ? /^\{"right": true\}$/ : /"code": -32601/);
    }
  });

  it('tells all clients that share a program, and are ready for it, what it announces', async () => {
    const bridge = await (await start('shared')).ready();
    const [one, other, silent] = [await open(bridge), await open(bridge), await raw(bridge)];
    const announced = (client: RawClient) =>
      client.answers.some(({ method }) => method === 'notifications/tools/list_changed');
    assert.equal(await one.tool(1, 'announce'), 'announced');
    await other.until('the announcement', () => announced(other));
    assert.ok(announced(one));
    assert.equal(await silent.tool(1, 'echo', { text: 'x' }), 'x');
    assert.ok(!announced(silent));
  });

  it('lets go of a client that does not read, and serves the others that share the program', async () => {
    const bridge = await (await start('shared', ['--message=1000000'])).ready();
    const [greedy, other] = [await open(bridge), await open(bridge)];
    greedy.socket.pause();
    for (let id = 0; id < 60; id++)
      greedy.say({ id, method: 'tools/call', params: { name: 'bytes', arguments: { count: 900_000 } } });
    await bridge.running.until('it to be let go', () => /does not read is let go/.test(bridge.running.err), 15_000);
    assert.equal(await other.tool(1, 'echo', { text: 'served' }), 'served');
    assertSmall(bridge);
  });

  it('waits for a client of its own that does not read, without keeping more than it may', async () => {
    const bridge = await (await start('connection', ['--message=1000000'])).ready();
    const client = await open(bridge);
    client.socket.pause();
    for (let id = 0; id < 20; id++)
      client.say({ id, method: 'tools/call', params: { name: 'bytes', arguments: { count: 900_000 } } });
    await pause(1500);
    assertSmall(bridge);
    client.socket.resume();
    await client.until('all answers', () => client.lines.length === 21);
    assert.ok(client.answers.every((each) => code(each) === undefined));
  });

  it('gives each of many calls its own answer or an error, while its program is killed again and again', async () => {
    for (const kind of ['shared', 'connection']) {
      const bridge = await (await start(kind)).ready();
      const clients = await Promise.all(Array.from({ length: 6 }, () => open(bridge)));
      let [over, ended] = [false, 0];
      const calls = clients.map(async (client, n) => {
        let answered = 0;
        for (let id = 0; !over; id += 3) {
          const texts = [0, 1, 2].map((each) => `${n} ${id + each} ${'x'.repeat((id * 37) % 5000)}`);
          const answers = await Promise.all(texts.map((text, each) => client.tool(id + each, 'echo', { text })));
          answers.forEach((answer, each) => {
            if (answer === texts[each]) answered++;
            else {
              assert.equal((JSON.parse(answer) as { code: number }).code, PROGRAM_ENDED);
              ended++;
            }
          });
          client.text = '';
        }
        return answered;
      });
      // Each in the middle of its work; what has been killed may stand in the page for a moment longer.
      const killed: number[] = [];
      while (killed.length < 5) {
        await pause(100 + 37 * killed.length);
        const working =
          pageOf(bridge)
            ?.slots.filter(({ inFlight }) => inFlight > 0)
            .map(({ tid }) => tid) ?? [];
        const victim = working.find((tid) => tid !== undefined && !killed.includes(tid));
        if (victim === undefined) continue;
        killed.push(victim);
        process.kill(victim, 'SIGKILL');
      }
      await pause(300);
      over = true;
      for (const answered of await Promise.all(calls)) assert.ok(answered > 0);
      assert.ok(ended > 0);
      assert.ok(pageOf(bridge)?.slots.every(({ inFlight }) => inFlight === 0));
      assert.equal(bridge.running.child.exitCode, null);
    }
  });

  it('reads no more from clients of a program that does not read', async () => {
    for (const options of [['--process=shared', '--protocol=lines'], ['--protocol=raw']]) {
      const bridge = await Bridge.start([...options, '--message=1000000'], ['/usr/bin/sleep', '60']);
      ends.push(() => bridge.end());
      const client = await raw(await bridge.ready());
      const line = `${'x'.repeat(900_000)}\n`;
      for (let count = 0; count < 60; count++) client.socket.write(line);
      await pause(1000);
      assert.ok(client.socket.writableLength > 40_000_000, String(client.socket.writableLength));
      assertSmall(bridge);
    }
  });

  it('tells the program that a client has gone which it was working for', async () => {
    const bridge = await (await start('shared')).ready();
    const [one, other] = [await open(bridge), await open(bridge)];
    one.say({ id: 1, method: 'tools/call', params: { name: 'sleep', arguments: { seconds: 5 } } });
    await bridge.running.until('it in hand', () => pageOf(bridge)?.slots[0]?.inFlight === 1);
    one.socket.destroy();
    await bridge.running.until('nothing in hand', () => pageOf(bridge)?.slots[0]?.inFlight === 0);
    assert.equal((JSON.parse(await other.tool(1, 'cancelled')) as unknown[]).length, 1);
  });

  it('ends the program of a client that has gone', async () => {
    const bridge = await (await start('connection')).ready();
    const client = await open(bridge);
    const pid = Number(await client.tool(1, 'pid'));
    client.socket.destroy();
    await bridge.running.until('its program to end', () => !isThere(pid), 15_000);
    assert.equal(bridge.running.err.includes('the program'), false);
  });

  it('lets go of one client whose program keeps ending, and of nobody else', async () => {
    const bridge = await (await start('connection')).ready();
    const [bad, good] = [await open(bridge), await open(bridge)];
    for (let id = 1; !bad.closed; id++) {
      assert.ok(id < 10, 'it is served for ever');
      bad.say({ id, method: 'tools/call', params: { name: 'exit', arguments: { status: 3 } } });
      await bad.until('an answer or the end', () => bad.closed || bad.answers.some((each) => each.id === id));
    }
    assert.equal(bad.answers.filter((each) => code(each) === PROGRAM_ENDED).length, 6);
    assert.equal(await good.tool(1, 'echo', { text: 'served' }), 'served');
    // The sixth life was the last one.
    const statuses = () => messages(bridge.told).filter((each) => each.startsWith('STATUS='));
    await bridge.told.until('five of them', () => statuses().length >= 5);
    assert.equal(statuses().length, 5);
  });
});
