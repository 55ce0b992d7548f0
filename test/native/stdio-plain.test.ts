import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseActivityPage } from '../../src/diagnose/activity-page.ts';
import { prepare } from './native-programs.ts';
import { Bridge, RawClient } from './stdio-bridge.ts';

/** Answers each line in upper case; to `die` it answers nothing, and to `wait` late. */
const UPPER = [
  '/usr/bin/python3',
  '-uc',
  `
import sys, time
for line in sys.stdin:
    if line == 'die\\n': sys.exit(3)
    if line == 'wait\\n': time.sleep(0.5)
    print(line.strip().upper())
`,
];

describe('plugin-stdio, for a program without messages of a protocol', function () {
  this.timeout(30_000);
  before(prepare);
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  async function start(options: readonly string[], command: readonly string[]): Promise<Bridge> {
    const bridge = await Bridge.start(options, command);
    ends.push(() => bridge.end());
    return bridge.ready();
  }

  async function open(bridge: Bridge): Promise<RawClient> {
    const client = await RawClient.open(bridge.socket);
    ends.push(() => client.socket.destroy());
    return client;
  }

  const slotsOf = (bridge: Bridge) =>
    parseActivityPage(readFileSync(bridge.page), Number(process.hrtime.bigint() / 1_000_000n))?.slots ?? [];
  const inHand = (bridge: Bridge) => slotsOf(bridge).reduce((sum, slot) => sum + slot.inFlight, 0);

  for (const kind of ['connection', 'shared']) {
    it(`answers each client its own lines, with a process that is ${kind}`, async () => {
      const bridge = await start(['--protocol=lines', `--process=${kind}`], UPPER);
      const clients = await Promise.all([open(bridge), open(bridge), open(bridge)]);
      clients.forEach((client, n) => {
        for (let line = 0; line < 20; line++) client.say(`client ${n} line ${line}`);
      });
      for (const [n, client] of clients.entries()) {
        await client.until('all answers', () => client.lines.length === 20);
        assert.deepEqual(
          client.lines,
          Array.from({ length: 20 }, (_, line) => `CLIENT ${n} LINE ${line}`),
        );
      }
      assert.equal(inHand(bridge), 0);
    });

    it(`answers a line without an end that is the last one, with a process that is ${kind}`, async () => {
      const bridge = await start(['--protocol=lines', `--process=${kind}`], UPPER);
      const client = await open(bridge);
      client.socket.end('one\ntwo');
      await client.until('the end', () => client.closed);
      assert.deepEqual(client.lines, ['ONE', 'TWO']);
    });

    it(`ends the connection of whoever waits for a program that ends, with a process that is ${kind}`, async () => {
      const bridge = await start(['--protocol=lines', `--process=${kind}`], UPPER);
      const [one, other] = [await open(bridge), await open(bridge)];
      other.say('hello');
      await other.until('an answer', () => other.lines.length === 1);
      one.say('die');
      await one.until('the end', () => one.closed);
      assert.deepEqual(one.lines, []);
      other.say('again');
      await other.until('an answer', () => other.lines.length === 2);
      assert.deepEqual(other.lines, ['HELLO', 'AGAIN']);
    });
  }

  it('gives the answer of a client that has gone to nobody else', async () => {
    const bridge = await start(['--protocol=lines', '--process=shared'], UPPER);
    const [gone, other] = [await open(bridge), await open(bridge)];
    gone.say('wait');
    await bridge.running.until('it in hand', () => slotsOf(bridge)[0]?.method === 'wait');
    other.say('mine');
    await bridge.running.until('both in hand', () => inHand(bridge) === 2);
    gone.socket.destroy();
    await other.until('an answer', () => other.lines.length === 1);
    assert.deepEqual(other.lines, ['MINE']);
  });

  it('passes bytes on, both ways, and the end of either half', async () => {
    const bridge = await start(['--protocol=raw'], ['/usr/bin/cat']);
    const client = await RawClient.open(bridge.socket);
    const bytes = Buffer.alloc(3_000_000, 'no line, no message: \0\r\xff');
    const got: Buffer[] = [];
    client.socket.on('data', (data) => got.push(data));
    client.socket.end(bytes);
    await client.until('the end', () => client.closed);
    assert.ok(Buffer.concat(got).equals(bytes));
  });

  it('gives a program all that a client sent that has gone', async () => {
    const bridge = await start(['--protocol=raw'], ['/bin/sh', '-c', 'wc -c >&2']);
    const client = await RawClient.open(bridge.socket);
    client.socket.write(Buffer.alloc(50_000));
    await pause(50);
    client.socket.destroy();
    await bridge.running.until('the count', () => /^50000$/m.test(bridge.running.err), 10_000);
  });

  it('ends a connection when its program does, and counts no client out for it', async () => {
    const bridge = await start(['--protocol=raw'], ['/bin/sh', '-c', 'echo from $$; read line; exit 4']);
    for (let round = 0; round < 8; round++) {
      const client = await open(bridge);
      await client.until('its program', () => client.lines.length === 1);
      client.say('go');
      await client.until('the end', () => client.closed);
    }
    assert.match(bridge.running.err, /the program ended with status 4/);
  });

  it('gives up when no program does anything at all', async () => {
    const bridge = await start(['--protocol=raw'], ['/bin/sh', '-c', 'exit 5']);
    for (let round = 0; round < 5; round++) {
      const client = await open(bridge);
      // It ends before it reads that.
      if (round % 2 === 1) client.say('x');
      await client.until('the end', () => client.closed);
    }
    assert.equal(await bridge.running.ended, 5);
  });

  it('serves no more clients than it may at a time', async () => {
    const bridge = await start(['--protocol=lines', '--connections=2'], UPPER);
    const [one, two, three] = [await open(bridge), await open(bridge), await open(bridge)];
    for (const client of [one, two, three]) client.say('x');
    await one.until('an answer', () => one.lines.length === 1);
    await two.until('an answer', () => two.lines.length === 1);
    await pause(300);
    assert.deepEqual(three.lines, []);
    one.socket.destroy();
    await three.until('an answer', () => three.lines.length === 1);
  });

  it('drains: what is in hand is answered, and the program ends before the bridge', async () => {
    const bridge = await start(['--protocol=lines', '--process=shared'], UPPER);
    const client = await open(bridge);
    client.say('wait');
    await bridge.running.until('it in hand', () => inHand(bridge) === 1);
    const program = slotsOf(bridge)[0]?.tid;
    bridge.running.child.kill('SIGTERM');
    await client.until('the answer', () => client.lines.length === 1);
    assert.equal(await bridge.running.ended, 0);
    assert.throws(() => process.kill(program ?? 0, 0));
  });

  it('serves who was in the queue when it is told to stop', async () => {
    const bridge = await start(['--protocol=lines', '--process=shared'], UPPER);
    bridge.running.child.kill('SIGSTOP');
    const clients = await Promise.all([open(bridge), open(bridge), open(bridge)]);
    for (const client of clients) client.say('waiting');
    bridge.running.child.kill('SIGTERM');
    bridge.running.child.kill('SIGCONT');
    for (const client of clients) await client.until('an answer', () => client.lines[0] === 'WAITING');
    assert.equal(await bridge.running.ended, 0);
  });

  for (const options of [['--protocol=lines', '--process=shared'], ['--protocol=lines'], ['--protocol=raw']])
    it(`keeps no descriptor and no process of clients that have gone, with ${options.join(' ')}`, async () => {
      const bridge = await start(options, ['/usr/bin/cat']);
      const held = () => {
        const { pid } = bridge.running.child;
        const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
        return { descriptors: readdirSync(`/proc/${pid}/fd`).length, processes: children.length };
      };
      const round = async () => {
        const client = await open(bridge);
        client.say('x'.repeat(10_000));
        await client.until('an answer', () => client.lines.length === 1);
        client.socket.destroy();
      };
      // One may be there still, by which the bridge has told that it is ready.
      const before = held();
      const isAsBefore = () => {
        const { descriptors, processes } = held();
        return descriptors <= before.descriptors && processes <= before.processes;
      };
      for (let count = 0; count < 50; count++) await round();
      await bridge.running.until(`what was before, ${JSON.stringify(before)}`, isAsBefore, 15_000);
    });

  it('leaves nothing of a program that has ended', async () => {
    const bridge = await start(['--protocol=raw'], ['/bin/sh', '-c', 'sleep 300 & echo $!; exit 0']);
    const client = await open(bridge);
    await client.until('the end', () => client.closed);
    const left = Number(client.lines[0]);
    assert.ok(left > 1);
    const isThere = () => {
      try {
        return !/^State:\s+Z/m.test(readFileSync(`/proc/${left}/status`, 'utf8'));
      } catch {
        return false;
      }
    };
    await bridge.running.until('what it left behind to end', () => !isThere());
  });

  it('passes other signals on to the program', async () => {
    const bridge = await start(
      ['--protocol=lines', '--process=shared'],
      ['/bin/bash', '-c', 'trap "echo reloaded >&2" HUP; while read -r line || [ $? -gt 128 ]; do echo "$line"; done'],
    );
    const client = await open(bridge);
    client.say('x');
    await client.until('an answer', () => client.lines.length === 1);
    bridge.running.child.kill('SIGHUP');
    await bridge.running.until('the signal', () => /reloaded/.test(bridge.running.err));
  });

  for (const [options, said] of [
    [['--protocol=json'], /'json' is not a protocol: there are mcp, lines and raw/],
    [['--protocol=raw', '--process=shared'], /bytes without messages cannot be shared/],
    [['--connections=0'], /'--connections=0' is not a number from 1 to 1024/],
    [['--what'], /unknown option '--what'/],
  ] as const)
    it(`refuses ${options.join(' ')}`, async () => {
      const bridge = await Bridge.start(options, ['/usr/bin/true']);
      ends.push(() => bridge.end());
      assert.equal(await bridge.running.ended, 1);
      assert.match(bridge.running.err, said);
    });

  it('says which program it cannot execute', async () => {
    const bridge = await Bridge.start(['--process=shared'], ['/nowhere']);
    ends.push(() => bridge.end());
    assert.equal(await bridge.running.ended, 1);
    assert.match(bridge.running.err, /BH318: cannot execute '\/nowhere': No such file or directory/);
  });
});
