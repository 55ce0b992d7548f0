import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { initialState, NEW_SANDBOX, type PluginState, type SandboxEntry } from '../../../src/decide/plugin-state.ts';
import type { HostPaths } from '../../../src/plan/plan.ts';
import { Discovery } from '../../../src/traffic/discovery.ts';
import { examplePlan } from '../../support/plans.ts';
import { Time } from '../../support/time.ts';

/** More than any answer here takes; a longer one is a hang. */
const HANG_MS = 10_000;

/** A client that keeps the lines that it was told. */
class Client {
  readonly socket: Socket;
  readonly lines: unknown[] = [];
  ended = false;
  failure: string | undefined;

  constructor(path: string) {
    this.socket = connect(path);
    let rest = '';
    this.socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.lines.push(JSON.parse(line));
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code;
    });
    this.socket.on('close', () => {
      this.ended = true;
    });
  }
}

describe('discovery', function () {
  this.timeout(4 * HANG_MS);
  let run = '';
  let time: Time;
  let state: PluginState;
  let discovery: Discovery;
  const clients: Client[] = [];
  const access = { user: String(process.getuid?.()), group: String(process.getgid?.()), mode: 0o600 };

  const path = (): string => `${run}/discovery/hello`;
  const paths = (): HostPaths => ({ lib: '', etc: '', run, state: '', versions: '', nspawn: '' });
  const made = (): Discovery =>
    new Discovery({
      clock: time,
      paths: paths(),
      state: () => state,
      ignored: (text, failure) => assert.fail(`${text}: ${failure.message}`),
    });

  beforeEach(() => {
    run = mkdtempSync(`${tmpdir()}/bulkhead-discovery-`);
    time = new Time();
    const plan = examplePlan({ size: 2, rpc: access });
    state = { ...initialState('hello'), phase: 'on', plan, sandboxes: sandboxes(1, 2) };
    discovery = made();
  });
  afterEach(() => {
    for (const { socket } of clients.splice(0)) socket.destroy();
    discovery.release();
    rmSync(run, { recursive: true });
  });

  function client(): Client {
    const one = new Client(path());
    clients.push(one);
    return one;
  }

  function decided(change: Partial<PluginState>): void {
    state = { ...state, ...change };
    discovery.follow(state);
  }

  const snapshot = (...generations: number[]) => ({
    discovery: 1,
    plugin: 'hello',
    sandboxes: generations.map((generation) => ({
      generation,
      slot: 'a',
      version: 'v1',
      state: 'ready',
      score: 100,
      weight: 100,
      socket: `${run}/rpc/hello/${generation}`,
    })),
  });

  it('tells all there is to know, and again when it is another thing', async () => {
    await discovery.ensure('hello', access);
    assert.equal(statSync(path()).mode & 0o7777, 0o600);
    const [one, other] = [client(), client()];
    await until(() => one.lines.length === 1 && other.lines.length === 1);
    assert.deepEqual(one.lines, [snapshot(1, 2)]);
    assert.equal(discovery.clients('hello'), 2);
    decided({ restartsTotal: 5 });
    decided({ sandboxes: sandboxes(2, 3) });
    await until(() => one.lines.length === 2 && other.lines.length === 2);
    assert.deepEqual(other.lines[1], snapshot(2, 3));
    one.socket.destroy();
    await until(() => discovery.clients('hello') === 1);
  });

  it('tells of deaths, and whoever comes soon afterwards', async () => {
    await discovery.ensure('hello', access);
    const one = client();
    await until(() => one.lines.length === 1);
    const crash = { generation: 1, class: 'crash', text: `it\nended ${'x'.repeat(600)}`, incident: 'i-1' } as const;
    discovery.crashed('hello', crash);
    discovery.crashed('other', crash);
    await until(() => one.lines.length === 2);
    assert.deepEqual(one.lines[1], { crash: { ...crash, text: crash.text.slice(0, 512) } });
    const late = client();
    await until(() => late.lines.length === 2);
    assert.deepEqual(late.lines[1], one.lines[1]);
    time.pass(31_000);
    const later = client();
    await until(() => later.lines.length === 1);
    await pause(50);
    assert.equal(later.lines.length, 1);
  });

  it('tells of deaths that were found before it was served', async () => {
    const crash = { generation: 1, class: 'crash', text: 'it ended', incident: 'i-1' } as const;
    discovery.crashed('hello', crash);
    await discovery.ensure('hello', access);
    const one = client();
    await until(() => one.lines.length === 2);
    assert.deepEqual(one.lines[1], { crash });
  });

  it('tells of a score that rises though nothing happens', async () => {
    const crashes = [0, 1].map((at) => ({ seat: 0, at }));
    state = { ...state, crashes };
    await discovery.ensure('hello', access);
    const one = client();
    const scores = () =>
      one.lines.map((line) => (line as { sandboxes: { score: number }[] }).sandboxes.map(({ score }) => score));
    await until(() => one.lines.length === 1);
    time.pass(60_100);
    await until(() => one.lines.length === 2);
    assert.deepEqual(scores(), [
      [70, 100],
      [100, 100],
    ]);
    assert.equal(time.waiting, 0);
  });

  it('cuts off who says something, who does not read, and one too many', async () => {
    await discovery.ensure('hello', access);
    const talker = client();
    await until(() => talker.lines.length === 1);
    talker.socket.write('{}\n');
    await until(() => talker.ended);
    const deaf = client();
    await until(() => deaf.lines.length === 1);
    deaf.socket.pause();
    const reader = client();
    await until(() => discovery.clients('hello') === 2);
    const text = 'x'.repeat(512);
    for (let n = 0; n < 1000 && discovery.clients('hello') === 2; n++) {
      for (let m = 0; m < 16; m++) discovery.crashed('hello', { generation: 1, class: 'crash', text, incident: null });
      await until(() => reader.lines.length > 16 * n);
    }
    assert.equal(discovery.clients('hello'), 1);
    assert.equal(reader.ended, false);
    const many = Array.from({ length: 256 }, client);
    await until(() => many.filter(({ ended }) => ended).length === 1);
    await until(() => many.filter(({ lines }) => lines.length > 0).length === 255);
    assert.equal(discovery.clients('hello'), 256);
  });

  it('is served anew by the next supervisor, and by none when the plugin is off', async () => {
    await discovery.ensure('hello', access);
    const before = client();
    await until(() => before.lines.length === 1);
    discovery.release();
    await until(() => before.ended);
    const meanwhile = client();
    await until(() => meanwhile.ended);
    assert.equal(meanwhile.failure, 'ECONNREFUSED');
    discovery = made();
    await discovery.ensure('hello', { ...access, mode: 0o640 });
    assert.equal(statSync(path()).mode & 0o7777, 0o640);
    const after = client();
    await until(() => after.lines.length === 1);
    await discovery.ensure('hello', access);
    assert.equal(statSync(path()).mode & 0o7777, 0o600);
    decided({ sandboxes: new Map() });
    await discovery.ensure('hello', undefined);
    await until(() => after.ended);
    assert.deepEqual(after.lines[1], snapshot());
    assert.ok(!existsSync(path()));
    assert.equal(discovery.clients('hello'), undefined);
    discovery.close('hello');
  });

  it('leaves no path of a plugin that is not there any more', async () => {
    await discovery.ensure('hello', access);
    discovery.sweep(new Set(['hello', 'other']));
    assert.ok(existsSync(path()));
    discovery.sweep(new Set(['other']));
    assert.ok(!existsSync(path()));
  });

  it('says why it cannot be served', async () => {
    const nobody = discovery.ensure('hello', { ...access, group: 'no-such-group' });
    await assert.rejects(nobody, { code: 'BH317', message: `'${path()}': there is no group 'no-such-group'` });
    assert.equal(discovery.clients('hello'), undefined);
  });
});

function sandboxes(...generations: number[]): Map<string, SandboxEntry> {
  return new Map(
    generations.map((generation, seat) => {
      const unit = `plugin-hello-a-g${generation}.service`;
      const entry: SandboxEntry = {
        ...NEW_SANDBOX,
        unit,
        slot: 'a',
        generation,
        digest: 'd1',
        limits: 'l1',
        life: 'ready',
        readyAt: 0,
        learning: false,
        seat,
      };
      return [unit, entry];
    }),
  );
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + HANG_MS;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`it did not come to that: ${holds}`);
    await pause(5);
  }
}
