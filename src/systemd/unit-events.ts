import type { Owned } from '../base/clock.ts';
import { Owner } from '../base/owner.ts';
import type { JobResult } from './job-waiter.ts';
import { Listeners } from './listeners.ts';
import type { Manager } from './manager.ts';
import { MANAGER_INTERFACE, SYSTEMD_PATH } from './manager-link.ts';
import type { Signal } from './signal-router.ts';
import { unitOfPath } from './unit-path.ts';
import { type Head, plain } from './wire.ts';

/** Units whose last state is remembered to tell changes from repetitions; beyond it an event may come twice. */
const MAX_UNITS = 10_000;

/**
 * What systemd has told about a unit so far; a field that no signal has carried yet is undefined. The values are
 * those of org.freedesktop.systemd1(5).
 */
export interface UnitState {
  /** `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`, `maintenance`. */
  activeState?: string;
  subState?: string;
  /** `success`, `exit-code`, `signal`, `core-dump`, `oom-kill`, `timeout`, `watchdog`, `start-limit-hit`... */
  result?: string;
  /** 0 when no main process runs. */
  mainPid?: number;
  execMainPid?: number;
  /** `si_code` of waitid(2): 1 exited, 2 killed, 3 dumped; 0 while it runs. */
  execMainCode?: number;
  /** Exit status or signal number, depending on execMainCode. */
  execMainStatus?: number;
  nRestarts?: number;
  statusText?: string;
  /** 32 hex digits; another one for each start. */
  invocationId?: string;
}

export type UnitEvent =
  /** At least one field differs from the event before; `state` has all that is known. */
  | { readonly kind: 'changed'; readonly unit: string; readonly state: Readonly<UnitState> }
  /** systemd has forgotten the unit. */
  | { readonly kind: 'removed'; readonly unit: string }
  | { readonly kind: 'job'; readonly unit: string; readonly jobId: number; readonly result: JobResult };

/** D-Bus properties of Unit, Service and Scope, and the fields they become. */
const FIELDS = {
  ActiveState: 'activeState',
  SubState: 'subState',
  Result: 'result',
  MainPID: 'mainPid',
  ExecMainPID: 'execMainPid',
  ExecMainCode: 'execMainCode',
  ExecMainStatus: 'execMainStatus',
  NRestarts: 'nRestarts',
  StatusText: 'statusText',
  InvocationID: 'invocationId',
} as const satisfies Record<string, keyof UnitState>;

/**
 * Changes of the units that a filter lets through. systemd repeats itself (five signals with the same values for
 * one start); an event comes only when something differs. After a resync of the manager all is forgotten, so the
 * next signal of a unit is an event again.
 *
 * A service's process state comes in one signal and its ActiveState in the next, up to a few milliseconds later:
 * a death is two events.
 */
export class UnitEvents implements Owned {
  readonly #manager: Manager;
  readonly #filter: (unit: string) => boolean;
  readonly #events: Listeners<UnitEvent>;
  readonly #owner = new Owner('unit events');
  readonly #states = new Map<string, UnitState>();

  constructor(manager: Manager, filter: (unit: string) => boolean, onDefect: (thrown: unknown) => void) {
    this.#manager = manager;
    this.#filter = filter;
    this.#events = new Listeners(onDefect);
    this.#owner.own(manager.onResync.add(() => this.#states.clear()));
    for (const owner of ['Unit', 'Service', 'Scope']) {
      const pattern = {
        interface: 'org.freedesktop.DBus.Properties',
        member: 'PropertiesChanged',
        pathNamespace: `${SYSTEMD_PATH}/unit`,
        arg0: `org.freedesktop.systemd1.${owner}`,
        // The private socket sends the signals of all units: most end here, undecoded.
        accept: (head: Head) => this.#wanted(head.path),
      };
      this.#owner.own(manager.subscribe(pattern, (signal) => this.#changed(signal)));
    }
    this.#on('JobRemoved', ({ body: [id, , unit, result] }) => {
      if (!this.#filter(String(unit))) return;
      this.#events.emit({ kind: 'job', unit: String(unit), jobId: Number(id), result: result as JobResult });
    });
    this.#on('UnitRemoved', ({ body: [name] }) => {
      const unit = String(name);
      // A daemon-reload removes all units and makes them anew.
      if (this.#manager.reloading || !this.#filter(unit)) return;
      this.#states.delete(unit);
      this.#events.emit({ kind: 'removed', unit });
    });
  }

  /** Hears of all events from now on. */
  listen(run: (event: UnitEvent) => void): Owned {
    return this.#events.add(run);
  }

  release(): void {
    this.#owner.release();
    this.#events.clear();
    this.#states.clear();
  }

  #wanted(path: string | undefined): boolean {
    const unit = path === undefined ? undefined : unitOfPath(path);
    return unit !== undefined && this.#filter(unit);
  }

  #changed(signal: Signal): void {
    const unit = unitOfPath(signal.head.path ?? '');
    const values = plain(signal.body[1]);
    if (unit === undefined || typeof values !== 'object' || values === null) return;
    const before = this.#states.get(unit);
    const state = merge(before ?? {}, values as Record<string, unknown>);
    if (state === undefined) return;
    this.#states.delete(unit);
    this.#states.set(unit, state);
    if (this.#states.size > MAX_UNITS) this.#states.delete(this.#states.keys().next().value as string);
    this.#events.emit({ kind: 'changed', unit, state });
  }

  #on(member: string, run: (signal: Signal) => void): void {
    this.#owner.own(this.#manager.subscribe({ interface: MANAGER_INTERFACE, member, path: SYSTEMD_PATH }, run));
  }
}

/** The state with the new values, or undefined when none of them is new. */
function merge(before: UnitState, values: Readonly<Record<string, unknown>>): UnitState | undefined {
  const changes: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(FIELDS)) {
    const raw = values[name];
    if (raw === undefined) continue;
    const value = raw instanceof Uint8Array ? Buffer.from(raw).toString('hex') : raw;
    if (before[field] !== value) changes[field] = value;
  }
  return Object.keys(changes).length === 0 ? undefined : { ...before, ...changes };
}
