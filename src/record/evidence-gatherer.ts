import { chmod, copyFile, stat, writeFile } from 'node:fs/promises';
import { formatBytes } from '../base/bytes.ts';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, type Failure } from '../base/failure.ts';
import { Owner } from '../base/owner.ts';
import {
  type ActivityPage,
  type ActivitySlot,
  type FlightRecord,
  inFlight,
  parseActivityPage,
  parseFlightRecords,
} from '../diagnose/activity-page.ts';
import type { Incident } from '../diagnose/incident.ts';
import { CORE_DIRECTORY, findCoreDump } from '../kernel/core-dumps.ts';
import type { SandboxEvidence } from '../kernel/sandbox-evidence.ts';
import type { IncidentBundle } from './incident-bundle.ts';
import type { CoreExpected } from './stored-incident.ts';

/** One incident whose bundle is to be filled. */
export interface EvidenceJob {
  readonly incident: Incident;
  readonly bundle: IncidentBundle;
  /** What was seen at the moment of the incident; undefined when nothing was, or it is lost. */
  readonly seen: SandboxEvidence | undefined;
  /** When it was seen, on the clock that the activity page is written by; ms. */
  readonly seenAt: number;
  readonly core: CoreExpected | null;
}

/** `flight.json`: what the program itself said of its requests. */
export interface FlightEvidence {
  readonly inFlight: readonly FlightSlot[];
  readonly records: readonly FlightRecord[];
}

/** A slot of the activity page, without the counter that JSON has no number for. */
export type FlightSlot = Omit<ActivitySlot, 'progress'>;

export interface GathererParts {
  readonly clock: Clock;
  readonly tailOf: (unit: string, lines: number, until: number) => Promise<readonly string[] | undefined>;
  /** Where core dumps are. */
  readonly cores?: string;
  /** All that could be had is in the bundle; what could not is named. */
  readonly done: (id: string, missing: readonly string[]) => void;
  readonly ignored: (text: string, failure: Failure) => void;
}

/** Recovery comes first, and the last lines take a moment to get to the journal. */
const PAUSE_MS = 500;
/** Bundles that wait to be filled. In a storm those beyond stay small. */
const MOST_WAITING = 64;
const JOURNAL_LINES = 200;
/** Entries of that moment may be stamped a little later than the observation. */
const JOURNAL_SLACK_MS = 2000;
/** systemd-coredump compresses what may be gigabytes. */
const CORE_PATIENCE_MS = 30_000;
const CORE_LOOK_MS = 1000;
/** A death is seen some time after the kernel has begun to write the dump. */
const CORE_SLACK_MS = 120_000;
/** A larger one stays where systemd-coredump has it, and the bundle says where. */
export const LARGEST_CORE = 256 << 20;

/** Fills bundles with what takes longer than recovery may wait: one after the other, behind everything else. */
export class EvidenceGatherer implements Owned {
  readonly #parts: GathererParts;
  readonly #owner = new Owner('evidence gatherer');
  readonly #waiting: EvidenceJob[] = [];
  #running = false;

  constructor(parts: GathererParts) {
    this.#parts = parts;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** False when too many wait already; then nothing more is gathered for it. */
  add(job: EvidenceJob): boolean {
    if (this.#waiting.length >= MOST_WAITING) return false;
    this.#waiting.push(job);
    if (!this.#running) this.#soon();
    return true;
  }

  release(): void {
    this.#owner.release();
    this.#waiting.length = 0;
  }

  #soon(): void {
    this.#running = true;
    const timer = this.#owner.own(
      this.#parts.clock.after(PAUSE_MS, () => {
        this.#owner.drop(timer);
        void this.#work();
      }),
    );
  }

  async #work(): Promise<void> {
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      const missing = await this.#fill(job).catch((error: unknown) => {
        const failure = asFailure(error);
        this.#parts.ignored(`incident '${job.incident.id}' cannot be written in full, ignoring`, failure);
        return [failure.message];
      });
      if (this.#owner.released) return;
      if (job.core !== null) this.#awaitCore(job, missing, this.#parts.clock.now() + CORE_PATIENCE_MS);
      else this.#parts.done(job.incident.id, missing);
    }
    this.#running = false;
  }

  async #fill({ incident, bundle, seen, seenAt }: EvidenceJob): Promise<string[]> {
    const { unit, at } = incident;
    const missing: string[] = [];
    const had = bundle.files().map(({ name }) => name);
    const put = (file: string, text: string): Promise<void> => writeFile(bundle.path(file), text, { mode: 0o600 });
    const json = (file: string, value: unknown): Promise<void> => put(file, `${JSON.stringify(value, null, 1)}\n`);
    if (seen === undefined) {
      if (!had.includes('cgroup.json'))
        missing.push('tasks, descriptors and counters: they were not looked at in time');
    } else if (seen.tasks.tasks.length === 0 && Object.keys(seen.cgroup).length === 0) {
      missing.push('tasks, descriptors and counters: nothing lived any more');
    } else {
      await json('tasks.json', seen.tasks);
      await put('descriptors.txt', seen.descriptors.map((line) => `${line}\n`).join(''));
      await json('cgroup.json', seen.cgroup);
      if (seen.tasks.more) missing.push('some tasks: there were too many for the time');
    }
    const page = seen?.page === undefined ? undefined : parseActivityPage(seen.page, seenAt);
    if (seen?.page === undefined || page === undefined) {
      if (!had.includes('flight.json')) missing.push('requests: the program writes no activity page');
    } else await json('flight.json', flightOf(page, parseFlightRecords(seen.page, seenAt)));
    const lines = unit === undefined ? [] : await this.#parts.tailOf(unit, JOURNAL_LINES, at + JOURNAL_SLACK_MS);
    if (lines === undefined) missing.push('journal: it could not be read');
    else await put('journal.txt', lines.map((line) => `${line}\n`).join(''));
    return missing;
  }

  #awaitCore(job: EvidenceJob, missing: readonly string[], until: number): void {
    const { clock, done, cores = CORE_DIRECTORY } = this.#parts;
    const { incident, core } = job;
    const found = core === null ? undefined : findCoreDump(core.uids, incident.at - CORE_SLACK_MS, cores);
    if (found !== undefined) {
      this.#keepCore(job, `${cores}/${found.file}`, found.pid, found.ending).then(
        (why) => done(incident.id, why === undefined ? missing : [...missing, why]),
        (error: unknown) => done(incident.id, [...missing, `core dump: ${asFailure(error).message}`]),
      );
    } else if (clock.now() >= until) {
      done(incident.id, [...missing, 'core dump: systemd-coredump has none']);
    } else {
      const timer = this.#owner.own(
        clock.after(CORE_LOOK_MS, () => {
          this.#owner.drop(timer);
          this.#awaitCore(job, missing, until);
        }),
      );
    }
  }

  /** A copy, since systemd-coredump removes its own ones as it likes. */
  async #keepCore(job: EvidenceJob, file: string, pid: number, ending: string): Promise<string | undefined> {
    const { size } = await stat(file);
    if (size > LARGEST_CORE) return `core dump: ${formatBytes(size)} is too much for the bundle; it is '${file}'`;
    const kept = job.bundle.path(coreName(job.incident, pid, ending));
    await copyFile(file, kept);
    await chmod(kept, 0o600);
    return undefined;
  }
}

function flightOf(page: ActivityPage, records: readonly FlightRecord[]): FlightEvidence {
  return { inFlight: inFlight(page).map(({ progress: _, ...slot }) => slot), records };
}

/** `core.PLUGIN.VERSION.TRACE.PID.zst`: a dump that leaves the bundle still says whose it is. */
export function coreName({ plugin, version, verdict }: Incident, pid: number, ending: string): string {
  const word = (text: string | undefined): string => (text ?? 'none').replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 48);
  return `core.${word(plugin)}.${word(version)}.${word(verdict.traceIds[0])}.${pid}${ending}`;
}
