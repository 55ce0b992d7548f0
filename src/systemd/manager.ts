import type { Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { Owner } from '../base/owner.ts';
import { CALL_TIMEOUT_MS } from './bus.ts';
import { type JobGoal, type JobResult, JobWaiter } from './job-waiter.ts';
import { Listeners } from './listeners.ts';
import { MANAGER_INTERFACE, ManagerLink, type ManagerOptions, SYSTEMD_PATH, type Way } from './manager-link.ts';
import { type AuxiliaryUnit, encodeAuxiliaryUnits, encodeProperties, type Property } from './properties.ts';
import type { Signal, SignalPattern } from './signal-router.ts';
import { unitPath } from './unit-path.ts';
import { plain } from './wire.ts';

/** How long a job may take unless the caller says otherwise, in milliseconds. */
export const JOB_TIMEOUT_MS = 120_000;

/** Interfaces of unit objects whose properties can be read. */
export type UnitInterface = 'Unit' | 'Service' | 'Scope' | 'Slice' | 'Socket' | 'Target';

/** systemctl(1), --job-mode=. */
export type JobMode =
  | 'replace'
  | 'fail'
  | 'isolate'
  | 'ignore-dependencies'
  | 'ignore-requirements'
  | 'replace-irreversibly';

export interface CallOptions {
  /** Milliseconds until the answer must be there, the wait for a connection included (default 25 s). */
  readonly timeoutMs?: number;
}

export interface JobOptions extends CallOptions {
  readonly mode?: JobMode;
  /** Milliseconds until the job must have ended (default 2 min); it goes on in systemd after that. */
  readonly jobTimeoutMs?: number;
  /** false: return 'queued' as soon as systemd has taken the job. */
  readonly wait?: boolean;
}

/** One row of ListUnits. */
export interface UnitRow {
  readonly unit: string;
  readonly description: string;
  readonly loadState: string;
  readonly activeState: string;
  readonly subState: string;
  /** A job that is queued for the unit, with its type (`start`, `stop`...). */
  readonly job: { readonly id: number; readonly type: string } | undefined;
}

/** Why the supervisor must list everything again. */
export interface Resync {
  readonly reason: 'connected' | 'reloaded';
  readonly way: Way;
}

/**
 * systemd's manager. Every method throws a Failure: BH501 the connection was lost meanwhile (whether systemd did
 * it is unknown: a resync follows), BH502 no answer in time, BH503 a value does not fit its signature, BH504
 * systemd refused (`dbusName` is its error name, the message its reason), BH505 no connection in time.
 */
export class Manager implements Owned {
  /** Signals may have been missed, or all units were loaded anew: list again. Also after the first connection. */
  readonly onResync: Listeners<Resync>;
  /** There is no connection; calls wait. */
  readonly onLost: Listeners<Failure>;

  readonly #link: ManagerLink;
  readonly #jobs: JobWaiter;
  readonly #owner = new Owner('systemd manager');
  #reloading = false;

  /** Nothing happens before start(). */
  constructor(options: ManagerOptions) {
    this.onResync = new Listeners(options.onDefect);
    this.onLost = new Listeners(options.onDefect);
    this.#link = new ManagerLink(options);
    this.#jobs = new JobWaiter(options.clock);
    this.#link.onActive.add((way) => this.#active(way));
    this.#link.onLost.add((reason) => {
      this.#reloading = false;
      this.onLost.emit(reason);
    });
    this.#on('JobRemoved', ({ body: [, path, , result] }) => this.#jobs.removed(String(path), result as JobResult));
    this.#on('Reloading', ({ body: [active] }) => {
      this.#reloading = active === true;
      if (!this.#reloading && this.way !== undefined) this.onResync.emit({ reason: 'reloaded', way: this.way });
    });
  }

  /** How systemd is reached now. */
  get way(): Way | undefined {
    return this.#link.way;
  }

  /** A daemon-reload is under way: all units go and come back, which means nothing. */
  get reloading(): boolean {
    return this.#reloading;
  }

  /** Signals that claimed to be systemd's. */
  get spoofed(): number {
    return this.#link.spoofed;
  }

  /** Job results that nobody has asked for yet; bounded. */
  get earlyJobResults(): number {
    return this.#jobs.early;
  }

  start(): void {
    this.#link.start();
  }

  release(): void {
    this.#owner.release();
    this.#link.release();
    this.#jobs.failAll(new Failure('BH501', 'the connection to systemd was given up'));
    this.onResync.clear();
    this.onLost.clear();
  }

  /** Wants signals of systemd; see SignalPattern. */
  subscribe(pattern: Omit<SignalPattern, 'sender'>, run: (signal: Signal) => void): Owned {
    return this.#link.subscribe(pattern, run);
  }

  /**
   * Makes and starts a unit that no file describes, and waits for its start job. BH504 with dbusName
   * `org.freedesktop.systemd1.UnitExists` when the name is taken, also by a failed unit that was not collected.
   */
  startTransientUnit(
    unit: string,
    properties: readonly Property[],
    options: JobOptions & { readonly auxiliary?: readonly AuxiliaryUnit[] } = {},
  ): Promise<JobResult | 'queued'> {
    const body = [
      unit,
      options.mode ?? 'fail',
      encodeProperties(properties),
      encodeAuxiliaryUnits(options.auxiliary ?? []),
    ];
    return this.#job('StartTransientUnit', unit, 'ssa(sv)a(sa(sv))', body, options);
  }

  startUnit(unit: string, options: JobOptions = {}): Promise<JobResult | 'queued'> {
    return this.#job('StartUnit', unit, 'ss', [unit, options.mode ?? 'replace'], options);
  }

  /** BH504 with dbusName `org.freedesktop.systemd1.NoSuchUnit` when the unit is not loaded. */
  stopUnit(unit: string, options: JobOptions = {}): Promise<JobResult | 'queued'> {
    return this.#job('StopUnit', unit, 'ss', [unit, options.mode ?? 'replace'], options);
  }

  restartUnit(unit: string, options: JobOptions = {}): Promise<JobResult | 'queued'> {
    return this.#job('RestartUnit', unit, 'ss', [unit, options.mode ?? 'replace'], options);
  }

  reloadUnit(unit: string, options: JobOptions = {}): Promise<JobResult | 'queued'> {
    return this.#job('ReloadUnit', unit, 'ss', [unit, options.mode ?? 'replace'], options);
  }

  /** Sends a signal (by number) to the processes of a unit. */
  async killUnit(
    unit: string,
    whom: 'main' | 'control' | 'all',
    signal: number,
    options: CallOptions = {},
  ): Promise<void> {
    await this.#call('KillUnit', 'ssi', [unit, whom, signal], options);
  }

  async resetFailed(unit: string, options: CallOptions = {}): Promise<void> {
    await this.#call('ResetFailedUnit', 's', [unit], options);
  }

  /** Gives up our reference to a unit that was started with AddRef=true, so that it can be collected. */
  async unrefUnit(unit: string, options: CallOptions = {}): Promise<void> {
    await this.#call('UnrefUnit', 's', [unit], options);
  }

  /** Loaded units whose names match one of the glob(7) patterns; with states, only those in one of them. */
  async listUnitsByPatterns(
    patterns: readonly string[],
    options: CallOptions & { readonly states?: readonly string[] } = {},
  ): Promise<UnitRow[]> {
    const [rows] = await this.#call('ListUnitsByPatterns', 'asas', [options.states ?? [], patterns], options);
    return (rows as ListRow[]).map(toRow);
  }

  /**
   * All properties of a unit, of the interfaces named, in one object; by their D-Bus names, 64-bit numbers as
   * numbers or 'infinity'. A unit that does not exist answers with LoadState 'not-found'.
   */
  async unitProperties(
    unit: string,
    interfaces: readonly UnitInterface[],
    options: CallOptions = {},
  ): Promise<Record<string, unknown>> {
    const answers = await Promise.all(
      interfaces.map((name) => this.#properties(unitPath(unit), `org.freedesktop.systemd1.${name}`, options)),
    );
    return Object.assign({}, ...answers) as Record<string, unknown>;
  }

  /** One property of a unit. */
  async unitProperty(unit: string, owner: UnitInterface, name: string, options: CallOptions = {}): Promise<unknown> {
    return this.#property(unitPath(unit), `org.freedesktop.systemd1.${owner}`, name, options);
  }

  /** Changes properties of a loaded unit; `runtime`: not beyond the next boot. Only cgroup settings can be changed. */
  async setUnitProperties(
    unit: string,
    runtime: boolean,
    properties: readonly Property[],
    options: CallOptions = {},
  ): Promise<void> {
    await this.#call('SetUnitProperties', 'sba(sv)', [unit, runtime, encodeProperties(properties)], options);
  }

  /** Removes what setUnitProperties() wrote for the units; units of files keep those (systemctl(1), revert). */
  async revertUnitFiles(units: readonly string[], options: CallOptions = {}): Promise<void> {
    await this.#call('RevertUnitFiles', 'as', [units], options);
  }

  /** TasksMax= of units that say nothing about it (systemd-system.conf(5)). */
  async defaultTasksMax(options: CallOptions = {}): Promise<unknown> {
    return this.#property(SYSTEMD_PATH, MANAGER_INTERFACE, 'DefaultTasksMax', options);
  }

  /** systemd's version, say 257. */
  async version(options: CallOptions = {}): Promise<number> {
    const text = String(await this.#property(SYSTEMD_PATH, MANAGER_INTERFACE, 'Version', options));
    const version = /^[^0-9]*(\d+)/.exec(text)?.[1];
    if (version === undefined) throw new Failure('BH504', `systemd gives '${text}' as its version`);
    return Number(version);
  }

  #active(way: Way): void {
    this.#jobs.forgetEarly();
    for (const job of this.#jobs.waiting) {
      this.#recheck(job).catch((thrown: unknown) => {
        const failure = asFailure(thrown);
        // Lost again: the next connection looks again.
        if (failure.code !== 'BH501' && failure.code !== 'BH505') this.#jobs.fail(job.path, failure);
      });
    }
    this.onResync.emit({ reason: 'connected', way });
  }

  /** The signal that a job ended may have been missed: asks for the job, and when it is gone, for its unit. */
  async #recheck({ path, unit, goal }: { path: string; unit: string; goal: JobGoal }): Promise<void> {
    try {
      await this.#property(path, 'org.freedesktop.systemd1.Job', 'State', {});
      return;
    } catch (thrown) {
      if (asFailure(thrown).code !== 'BH504') throw thrown;
    }
    const state = String(await this.unitProperty(unit, 'Unit', 'ActiveState'));
    if (goal === 'started' ? state === 'active' : state === 'inactive' || state === 'failed') {
      this.#jobs.removed(path, 'done');
    } else if (state === 'failed') {
      this.#jobs.removed(path, 'failed');
    } else {
      const text = `job of '${unit}': it ended while the connection was lost; the unit is ${state}`;
      this.#jobs.fail(path, new Failure('BH501', text));
    }
  }

  async #job(
    member: string,
    unit: string,
    signature: string,
    body: readonly unknown[],
    options: JobOptions,
  ): Promise<JobResult | 'queued'> {
    const [path] = await this.#call(member, signature, body, options);
    if (options.wait === false) return 'queued';
    const goal = member === 'StopUnit' ? 'stopped' : 'started';
    return this.#jobs.wait(String(path), unit, goal, options.jobTimeoutMs ?? JOB_TIMEOUT_MS);
  }

  #call(member: string, signature: string, body: readonly unknown[], options: CallOptions): Promise<unknown[]> {
    const call = { path: SYSTEMD_PATH, interface: MANAGER_INTERFACE, member, signature, body };
    return this.#link.call(call, options.timeoutMs ?? CALL_TIMEOUT_MS);
  }

  async #properties(path: string, owner: string, options: CallOptions): Promise<Record<string, unknown>> {
    const call = {
      path,
      interface: 'org.freedesktop.DBus.Properties',
      member: 'GetAll',
      signature: 's',
      body: [owner],
    };
    const [answer] = await this.#link.call(call, options.timeoutMs ?? CALL_TIMEOUT_MS);
    return plain(answer) as Record<string, unknown>;
  }

  async #property(path: string, owner: string, name: string, options: CallOptions): Promise<unknown> {
    const call = {
      path,
      interface: 'org.freedesktop.DBus.Properties',
      member: 'Get',
      signature: 'ss',
      body: [owner, name],
    };
    const [answer] = await this.#link.call(call, options.timeoutMs ?? CALL_TIMEOUT_MS);
    return plain(answer);
  }

  #on(member: string, run: (signal: Signal) => void): void {
    this.#owner.own(this.#link.subscribe({ interface: MANAGER_INTERFACE, member, path: SYSTEMD_PATH }, run));
  }
}

type ListRow = readonly [string, string, string, string, string, string, string, number, string, string];

function toRow([unit, description, loadState, activeState, subState, , , id, type]: ListRow): UnitRow {
  return { unit, description, loadState, activeState, subState, job: id === 0 ? undefined : { id, type } };
}
