import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pluginSliceName } from '../../../src/plan/identity.ts';
import { pause } from '../../support/load.ts';
import {
  installExample,
  installHostile,
  must,
  run,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';
import type { Window } from './steady-load.ts';

/** Ample for an emulated machine: only a hang takes longer. */
const PATIENCE_MS = 600_000;

const GOOD = 'well-behaved';
const PORT = 9150;

/** Pairs of windows: beside the offenders, and alone, while they are frozen. */
const PAIRS = 8;
const WINDOW_MS = 2500;
/** After a change; what is still under way (a journal that reads on) belongs to neither. */
const SETTLE_MS = 700;

/** What stands for itself in the issue: how much slower the well-behaved plugin may get. */
const MOST_RATIO = 2;

/** What a machine as slow as this may need until it answers. */
const ANSWER_MS = 120_000;

interface Offender {
  readonly name: string;
  readonly isolation: 'nspawn' | 'scope';
  readonly exec?: string;
  /** What bulkhead says of it: in the plugin's events. */
  readonly told: RegExp;
}

const OFFENDERS: readonly Offender[] = [
  { name: 'memory-hog', isolation: 'scope', told: /died: out of memory: own limit 64M/ },
  { name: 'fork-bomb', isolation: 'scope', told: /limit reached: tasks 16 \(\d+ forks? refused\)/ },
  { name: 'cpu-hog', isolation: 'nspawn', told: /limit reached: cpu 10% \(throttled in \d+ of \d+ periods\)/ },
  { name: 'disk-filler', isolation: 'nspawn', exec: '[./main, /tmp, /dev/shm]', told: /limit reached: tmp 8M/ },
  { name: 'descriptor-hog', isolation: 'scope', told: /limit reached: files 128 \(12\d open in one process\)/ },
  { name: 'log-flood', isolation: 'nspawn', told: /limit reached: log 100 in 10s \(\d+ messages? dropped\)/ },
];

/** It shall offend all the time, not be given up after some deaths. */
const NEVER_GIVE_UP = 'recovery: { backoff: { initial: 1s, max: 4s }, budget: { restarts: 1000, within: 1h } }';

/** A start that is frozen takes long. */
const PATIENT = 'health: { start-timeout: 10min }';

/** Six that take all that they may get shall not take most of a node with two CPUs. */
const LIMITS = 'limits: { cpu: 10% }';

function install({ name, isolation, exec = '[./main]' }: Offender): void {
  const lines = ['template: [native, untrusted]', 'version: v1', `isolation: ${isolation}`, `exec: ${exec}`];
  installHostile(name, name, [...lines, LIMITS, NEVER_GIVE_UP, PATIENT]);
}

/** On a machine as slow as this, bulkheadctl may give up waiting for an answer; it is asked again. */
async function asked<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  let answer: Answer | undefined;
  await until(
    'there is an answer',
    async () => {
      answer = await ask().catch(() => undefined);
      return answer !== undefined;
    },
    ANSWER_MS,
  );
  assert.ok(answer !== undefined);
  return answer;
}

function freeze(offenders: readonly Offender[], frozen: boolean): void {
  for (const { name } of offenders)
    writeFileSync(`/sys/fs/cgroup/plugin.slice/${pluginSliceName(name)}/cgroup.freeze`, frozen ? '1' : '0');
}

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Steady load from a unit of its own, as another service would make it. */
class SteadyLoad {
  readonly #process: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor() {
    const program = fileURLToPath(new URL('./steady-load.js', import.meta.url));
    const weight = '--property=CPUWeight=1000';
    const words = [
      '--pipe',
      '--wait',
      '--quiet',
      '--collect',
      weight,
      process.execPath,
      program,
      String(PORT),
      '4',
      '20',
    ];
    this.#process = spawn('systemd-run', words, { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#process;
    assert.ok(stdout !== null);
    this.#answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  async window(ms: number): Promise<Window> {
    this.#process.stdin?.write('begin\n');
    await pause(ms);
    this.#process.stdin?.write('end\n');
    const { value } = await this.#answers.next();
    return JSON.parse(String(value)) as Window;
  }

  stop(): void {
    this.#process.stdin?.end();
  }
}

describe('offenders beside a well-behaved plugin', function () {
  this.timeout(PATIENCE_MS);

  let load: SteadyLoad;

  before(async () => {
    const listen = `listen: [{ tcp: 127.0.0.1:${PORT} }]`;
    installExample(GOOD, 'c', ['template: [native, http]', 'version: v1', listen]);
    await systemctl('start', `plugin@${GOOD}`);
    await untilWhole(GOOD, 2, ANSWER_MS);
    load = new SteadyLoad();
    await until('there is load', async () => (await load.window(WINDOW_MS)).answers > 50, 60_000);
  });

  after(async () => {
    load.stop();
    await uninstall(GOOD);
  });

  /** Interleaved windows beside the offenders and without them; what was lost, and how much slower it was. */
  async function compare(offenders: readonly Offender[]): Promise<string> {
    const [alone, beside]: [Window[], Window[]] = [[], []];
    for (let pair = 0; pair < PAIRS; pair++) {
      // Each comes first as often as second: what else the machine has to do changes all the time.
      for (const frozen of pair % 2 === 0 ? [true, false] : [false, true]) {
        freeze(offenders, frozen);
        await pause(SETTLE_MS);
        (frozen ? alone : beside).push(await load.window(WINDOW_MS));
      }
    }
    const { lost, firstLost } = await load.window(0);
    assert.equal(lost, 0, firstLost);
    const compared = (['median', 'p99'] as const).map((what) => {
      const ratio = median(alone.map((window, pair) => (beside[pair]?.[what] ?? Number.NaN) / window[what]));
      const [without, withThem] = [alone, beside].map((windows) =>
        median(windows.map((each) => each[what])).toFixed(1),
      );
      return { ratio, text: `${what} ${without} ms alone, ${withThem} ms beside, ${ratio.toFixed(2)} times` };
    });
    const text = compared.map((each) => each.text).join('; ');
    for (const { ratio } of compared) assert.ok(ratio <= MOST_RATIO, text);
    return text;
  }

  async function told({ name, told: wanted }: Offender): Promise<void> {
    let events = '';
    const seen = async () => {
      events = await asked(() => must('bulkheadctl', 'events', name));
      return wanted.test(events);
    };
    await until(`'${name}' is told of as ${wanted}`, seen, ANSWER_MS).catch((error: unknown) => {
      throw new Error(`${error instanceof Error ? error.message : error}\n${events}`);
    });
  }

  /** Its own limit held it: nothing of it went beyond. */
  async function contained({ name }: Offender): Promise<void> {
    for (const { cgroup } of (await asked(() => status(name))).sandboxes) {
      if (cgroup === null) continue;
      const file = (leaf: string) => {
        try {
          return readFileSync(`/sys/fs/cgroup${cgroup}/${leaf}`, 'utf8').trim();
        } catch {
          return undefined; // It ended meanwhile.
        }
      };
      for (const [peak, most] of [
        ['memory.peak', 'memory.max'],
        ['pids.peak', 'pids.max'],
      ] as const) {
        const [highest, limit] = [file(peak), file(most)];
        if (highest !== undefined && limit !== undefined)
          assert.ok(Number(highest) <= Number(limit), `${name}: ${peak} ${highest}, ${most} ${limit}`);
      }
    }
  }

  async function nodeIsUsable(): Promise<void> {
    assert.match(await systemctl('status', '--no-pager', `plugin@${GOOD}`), /active \(running\)/);
    installExample('newcomer', 'c', ['template: native', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9151 }]']);
    try {
      await systemctl('start', 'plugin@newcomer');
      assert.match(await must('curl', '-sS', 'http://127.0.0.1:9151/'), /hello/);
    } finally {
      await uninstall('newcomer');
    }
  }

  async function offend(offenders: readonly Offender[]): Promise<string> {
    try {
      for (const offender of offenders) install(offender);
      // A memory hog may die before its start job is done.
      await Promise.all(offenders.map(({ name }) => run('systemctl', 'start', `plugin@${name}`)));
      const text = await compare(offenders);
      await nodeIsUsable();
      for (const offender of offenders) await told(offender);
      for (const offender of offenders) await contained(offender);
      const good = await asked(() => status(GOOD));
      assert.deepEqual([good.ready, good.restarts.total], [2, 0], 'the well-behaved plugin was not touched');
      return text;
    } finally {
      freeze(offenders, false);
      for (const { name } of offenders) await uninstall(name);
    }
  }

  for (const offender of OFFENDERS)
    it(`${offender.name} costs it no request, and not more than twice the time`, async () => {
      console.log(`      ${offender.name}: ${await offend([offender])}`);
    });

  it('all at once cost it no request, and not more than twice the time', async () => {
    console.log(`      all: ${await offend(OFFENDERS)}`);
  });
});
