import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { Failure } from '../../src/base/failure.ts';
import type { PluginSummary } from '../../src/control/api.ts';
import type { Manager } from '../../src/control/manager.ts';
import type { Isolation } from '../../src/declare/declaration.ts';
import type { StoredIncident } from '../../src/record/stored-incident.ts';
import { HttpLoad, pause } from '../support/load.ts';
import { installHostile, run, uninstall, until } from '../support/system.ts';
import { type Answer, request } from './client.ts';
import { incidentsOf, storyOf, wordsOf } from './incidents.ts';
import { unexcused } from './losses.ts';
import type { Measured, Row } from './row.ts';

const SIZE = 2;
/** Steady, so that many trials at once leave the machine some time. */
const LOAD = { connections: 2, keepAlive: false, thinkMs: 100 };
/** What a start may take when all of them start at once. */
const START_MS = 90_000;
/** From the incident on. */
const RECOVERY_MS = 60_000;
/** What was in the hands of a sandbox that is gone has ended with it. */
const ANSWER_MS = 2_000;
const LOOK_MS = 500;
const TRACE = '00112233445566778899aabbccddeeff';

/** All plugins on a line each. The trials share the answers: if each asked, the supervisor would do nothing but answer. */
export class Summaries {
  readonly #manager: Manager;
  #answer: Promise<readonly PluginSummary[]> | undefined;

  constructor(manager: Manager) {
    this.#manager = manager;
  }

  async of(plugin: string): Promise<PluginSummary | undefined> {
    this.#answer ??= this.#ask();
    return (await this.#answer).find(({ name }) => name === plugin);
  }

  async #ask(): Promise<readonly PluginSummary[]> {
    await pause(LOOK_MS);
    this.#answer = undefined;
    try {
      return await this.#manager.list();
    } catch (thrown) {
      // Where all start at once on an emulated machine, an answer may take longer than anybody should wait: ask again.
      if (thrown instanceof Failure && thrown.code === 'BH502') return [];
      throw thrown;
    }
  }
}

export interface Circumstances {
  readonly isolation: Isolation;
  readonly port: number;
  readonly manager: Manager;
  readonly summaries: Summaries;
  /** How many times as long everything may take: more than one for a machine that is emulated. */
  readonly patience: number;
}

/** One plugin that fails in one way, from its installation to what became of it. */
export class Trial {
  readonly row: Row;
  readonly isolation: Isolation;
  readonly plugin: string;
  readonly #circumstances: Circumstances;
  /** When it was done, ms since 1970. */
  #began = 0;

  constructor(row: Row, circumstances: Circumstances) {
    this.row = row;
    this.isolation = circumstances.isolation;
    this.plugin = `${row.name}-${circumstances.isolation}`;
    this.#circumstances = circumstances;
  }

  install(): void {
    const { declares, words = [], spoilt = false } = this.row;
    installHostile(this.plugin, 'misbehave', [
      'template: native',
      'version: v1',
      `isolation: ${this.isolation}`,
      `exec: [${['./main', ...words].join(', ')}]`,
      `listen: [{ tcp: 127.0.0.1:${this.#circumstances.port} }]`,
      `pool: { size: ${SIZE} }`,
      ...declares,
    ]);
    if (!spoilt) return;
    const program = `/opt/plugin/${this.plugin}/v1/main`;
    writeFileSync(program, '\x7fELF, but nothing of it\n');
    chmodSync(program, 0o755);
  }

  async uninstall(): Promise<void> {
    await uninstall(this.plugin);
  }

  /** Whether it runs well until something is done to it. */
  get startsWell(): boolean {
    return this.row.act !== undefined || this.row.provoke !== undefined;
  }

  /** Does to it what the row says, and sees what comes of it. */
  async run(): Promise<Measured> {
    if (this.startsWell)
      await this.#until('is whole', async () => (await this.#summary())?.state === 'running', START_MS);
    const target = { host: '127.0.0.1', port: this.#circumstances.port };
    const load = this.startsWell ? new HttpLoad({ target, ...LOAD }) : undefined;
    try {
      return await this.#failUnder(load);
    } finally {
      // Also when it did not go as expected: a load that goes on would keep the whole run from its end.
      await load?.stop();
    }
  }

  async #failUnder(load: HttpLoad | undefined): Promise<Measured> {
    const { row, plugin } = this;
    await load?.more(10);
    await pause(row.settleMs ?? 0);
    const answer = await this.#provoke();
    let first: StoredIncident | undefined;
    const isSeen = () => {
      [first] = this.#incidents();
      return first !== undefined;
    };
    await this.#until('has an incident', isSeen, row.expect.withinMs);
    assert.ok(first);
    await this.#recovered(first);
    const gone = performance.now();
    // What comes after the recovery is answered as ever.
    await load?.more(10);
    const { ok, lost } = (await load?.stop()) ?? { ok: 0, lost: [] };
    const { incident, over, steps } = this.#judge(await Promise.race([answer, pause(ANSWER_MS).then(() => undefined)]));
    if (row.expect.loses === 'nothing') assert.deepEqual(lost, []);
    else assert.deepEqual(unexcused(lost, 1, gone), [], plugin);
    return {
      row: row.name,
      isolation: this.isolation,
      class: row.expect.class,
      kind: row.expect.kind,
      noticedMs: first.incident.at - this.#began,
      recoveredMs: (over ?? steps.at(-1) ?? incident).at - first.incident.at,
      answered: ok,
      lost: lost.length,
    };
  }

  /** Resolves when it is done, to what will come of the request that was made for it. */
  async #provoke(): Promise<Promise<Answer | undefined>> {
    const { act, provoke } = this.row;
    const [victim] = provoke === undefined ? [] : (await this.#circumstances.manager.status(this.plugin)).sandboxes;
    this.#began = Date.now();
    if (act !== undefined) return request({ port: this.#circumstances.port, path: `/do/${act}`, trace: TRACE });
    if (provoke !== undefined && victim !== undefined) provoke(victim);
    else await run('systemctl', 'start', '--no-block', `plugin@${this.plugin}`);
    return Promise.resolve(undefined);
  }

  /** Resolves when the pool is whole again without the sandbox that failed, or the plugin was given up. */
  async #recovered({ incident }: StoredIncident): Promise<void> {
    if (this.row.expect.outcome === 'quarantined')
      return this.#until('is in quarantine', async () => (await this.#summary())?.state === 'failed', RECOVERY_MS);
    await this.#until('has no open incident', () => this.#incidents().every(({ over }) => over !== null), RECOVERY_MS);
    const isWithout = async () => {
      const { sandboxes } = await this.#circumstances.manager.status(this.plugin);
      return sandboxes.every(({ unit, state }) => unit !== incident.unit && state === 'ready');
    };
    await this.#until(`is whole again without ${incident.unit}`, isWithout, RECOVERY_MS);
  }

  /** Seen as exactly what it was, with what shows it, and answered by the configured chain. */
  #judge(answer: Answer | undefined): StoredIncident {
    const { expect } = this.row;
    const incidents = this.#incidents();
    const all = incidents.map(storyOf).join('\n\n');
    const seen = incidents.map(({ incident }) => `${incident.verdict.class} ${incident.verdict.kind}`);
    assert.deepEqual([...new Set(seen)], [`${expect.class} ${expect.kind}`], all);
    // What fails again and again may seem to have recovered in between.
    if (expect.outcome === 'whole') assert.equal(incidents.length, 1, all);
    const last = incidents.at(-1);
    assert.ok(last);
    assert.match(wordsOf(last), expect.evidence, all);
    assert.match(last.incident.action, expect.action, all);
    if (answer !== undefined && expect.loses === 'nothing') assert.ok(answer.well, 'its own request was answered');
    return last;
  }

  #incidents(): StoredIncident[] {
    return incidentsOf(this.plugin, this.#began);
  }

  #summary(): Promise<PluginSummary | undefined> {
    return this.#circumstances.summaries.of(this.plugin);
  }

  async #until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
    // Looked for now and then: many trials at once are not to be what the machine is busy with.
    const seldom = async () => {
      await pause(LOOK_MS);
      return holds();
    };
    await until(`'${this.plugin}' ${what}`, seldom, timeoutMs * this.#circumstances.patience);
  }
}
