import assert from 'node:assert/strict';
import { prepare } from './native-programs.ts';
import { Bridge, RawClient } from './stdio-bridge.ts';

/** Lines for each direction; BULKHEAD_FRAMES=100000 is the long form. */
const LINES = Number(process.env.BULKHEAD_FRAMES ?? 5000);

/** The same numbers in each run, so that what fails once fails again. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const SEEDS = [
  '{"jsonrpc":"2.0","id":7,"method":"ping"}',
  '{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"echo","arguments":{"text":"\\u00e9\\ud83d\\ude00 \\" \\\\ /"},"_meta":{"progressToken":"t","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7,"reason":"nobody"}}',
  '{"jsonrpc":"2.0","id":3,"result":{"a":[1,-2.5e+3,true,false,null,{"b":[[]]}]}}',
  '{ "jsonrpc" : "2.0" , "id" : 1 , "error" : { "code" : -32000 , "message" : "é€😀" } }',
];
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  '\\',
  '\\u12',
  'null',
  '-',
  '0',
  '01',
  '1e',
  '.5',
  ' ',
  '\t',
  'true',
  '\ud800',
  '\0',
  '\x7f',
  '"id":1',
  '"_meta":{}',
];

function mutant(roll: (below: number) => number): Buffer {
  let bytes = Buffer.from(SEEDS[roll(SEEDS.length)] ?? '');
  for (let change = roll(4); change > 0; change--) {
    const at = roll(bytes.length + 1);
    const piece = Buffer.from(PIECES[roll(PIECES.length)] ?? '');
    const kind = roll(4);
    if (kind === 0) bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + roll(6))]);
    if (kind === 2 && at < bytes.length) bytes[at] = roll(256);
    if (kind === 3) bytes = bytes.subarray(0, at);
  }
  return Buffer.from(bytes.filter((byte) => byte !== 10 && byte !== 13));
}

function isJson(bytes: Buffer): boolean {
  try {
    JSON.parse(new TextDecoder('utf8', { fatal: true, ignoreBOM: true }).decode(bytes));
    return true;
  } catch {
    return false;
  }
}

/** A mutant that answers what may well have been asked. */
function isAnswer(bytes: Buffer): boolean {
  if (!isJson(bytes)) return false;
  const message = JSON.parse(bytes.toString()) as Record<string, unknown> | null;
  return typeof message?.id === 'number' && !('method' in message);
}

describe('plugin-stdio, and lines that are no messages', function () {
  this.timeout(600_000);
  before(prepare);
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0).reverse()) end();
  });

  it(`takes for JSON what is JSON, and nothing else, of ${LINES} lines`, async () => {
    // The program answers nothing but its greeting: what is answered comes from the bridge.
    const bridge = await Bridge.start(
      ['--process=shared'],
      [
        '/usr/bin/python3',
        '-uc',
        `
import sys, json
for line in sys.stdin:
    message = json.loads(line)
    if message.get('method') == 'initialize':
        print(json.dumps({'jsonrpc': '2.0', 'id': message['id'], 'result': {}}))`,
      ],
    );
    ends.push(() => bridge.end());
    await bridge.ready();
    const roll = dice(20261126);
    let [bad, good] = [0, 0];
    let client = await RawClient.open(bridge.socket);
    for (let line = 0; line < LINES; line++) {
      const bytes = mutant(roll);
      if (bytes.length === 0) continue;
      const expected = isJson(bytes);
      expected ? good++ : bad++;
      client.socket.write(Buffer.concat([bytes, Buffer.from('\n')]));
      // A line that is surely refused shows where the bridge has got to.
      if (expected) client.say('[]');
      const before = client.lines.length;
      const current = client;
      await current.until(`what the bridge makes of ${JSON.stringify(bytes.toString('latin1'))}`, () => {
        const fresh = current.lines.slice(before);
        return fresh.some((each) => each.includes(expected ? '"id":null,"error":{"code":-32600' : '-32700'));
      });
      assert.equal(
        current.lines.slice(before).some((each) => each.includes('-32700')),
        !expected,
      );
      if (!expected || line % 50 === 0) {
        client.socket.destroy();
        client = await RawClient.open(bridge.socket);
      }
    }
    client.socket.destroy();
    // Both kinds have to be tried.
    assert.ok(bad > LINES / 4 && good > LINES / 20, `${good} were JSON, ${bad} were not`);
    assert.equal(bridge.running.child.exitCode, null);
  });

  it(`bears ${LINES} lines of a program that are no answers, and hands on those that are`, async () => {
    const roll = dice(6);
    const lines = Array.from({ length: 500 }, () => mutant(roll)).filter((each) => !isAnswer(each));
    const source = `
import sys, json
lines = ${JSON.stringify(lines.map((each) => each.toString('latin1')))}
done = 0
for line in sys.stdin:
    m = json.loads(line)
    if 'id' not in m or 'method' not in m: continue
    for each in lines:
        sys.stdout.buffer.write(each.encode('latin1') + b'\\n')
    done += len(lines)
    print(json.dumps({'jsonrpc': '2.0', 'id': m['id'], 'result': {'done': done}}), flush=True)`;
    const bridge = await Bridge.start(['--process=shared'], ['/usr/bin/python3', '-uc', source]);
    ends.push(() => bridge.end());
    await bridge.ready();
    const client = await RawClient.open(bridge.socket);
    await client.greet();
    for (let round = 1; round * lines.length <= LINES; round++) {
      client.say({ id: `round ${round}`, method: 'ping' });
      const { result } = await client.answer(`round ${round}`);
      assert.equal((result as { done: number }).done, (round + 1) * lines.length);
      // Nothing but answers and notifications reaches a client.
      assert.ok(client.answers.every((each) => 'method' in each || typeof each.id === 'string'));
      client.text = '';
    }
    client.socket.destroy();
    assert.equal(bridge.running.child.exitCode, null);
  });
});
