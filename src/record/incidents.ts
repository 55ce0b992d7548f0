import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, type Failure } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';
import { inFlight, parseActivityPage } from '../diagnose/activity-page.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { UidRange } from '../kernel/core-dumps.ts';
import { flushFile, makeDirectory } from '../kernel/files.ts';
import { type EvidencePlace, lookAtSandbox, type SandboxEvidence } from '../kernel/sandbox-evidence.ts';
import { EvidenceGatherer, type GathererParts } from './evidence-gatherer.ts';
import { type BundleFile, IncidentBundle } from './incident-bundle.ts';
import { outlived, type Retention } from './retention.ts';
import {
  type CoreExpected,
  type IncidentSummary,
  isIncidentId,
  type StoredIncident,
  summaryOf,
  withStep,
} from './stored-incident.ts';

/** Where they are: not only until the next boot. */
export const INCIDENT_DIRECTORY = '/var/lib/bulkhead/incidents';

/** The sandbox that an incident is about, as far as it is there. */
export interface IncidentScene {
  readonly place: EvidencePlace;
  readonly uids: UidRange;
  /** RLIMIT_CORE of the payload; bytes. */
  readonly coreLimit: number | 'infinity';
}

export interface IncidentsParts extends Pick<GathererParts, 'tailOf' | 'cores'> {
  readonly directory: string;
  readonly clock: Clock;
  /** Wall clock, ms since 1970. */
  readonly wall: () => number;
  readonly retention: () => Retention;
  readonly ignored: (text: string, failure: Failure) => void;
}

/** A bundle as it is read. */
export interface ReadIncident {
  readonly stored: StoredIncident;
  readonly bundle: IncidentBundle;
  readonly files: readonly BundleFile[];
}

/** So many within a second are a storm: what they died of is elsewhere, and all of them together have to be quick. */
const STORM = 20;
const STORM_MS = 1000;
/** The event loop gets its turn after so many, while bundles of earlier supervisors are read. */
const AT_ONCE = 64;
/** Many are opened at once. */
const CLEAN_UP_PAUSE_MS = 5000;
/** Ends by a signal, which alone may leave a core dump. */
const DUMPING: readonly FailureClass[] = ['crash', 'forbidden-syscall', 'forbidden-exec'];

/**
 * All incidents that are remembered, a directory each. It has no shutdown that matters: a bundle that another supervisor
 * has begun is finished, what never became one is removed.
 */
export class Incidents implements Owned {
  readonly #parts: IncidentsParts;
  readonly #gatherer: EvidenceGatherer;
  /** All bundles, by id, in the order in which they were opened or found. */
  readonly #known = new Map<string, IncidentSummary>();
  /** Those that still change. */
  readonly #open = new Map<string, StoredIncident>();
  /** When the last ones were opened. */
  readonly #recent: number[] = [];
  #found: Promise<void> = Promise.resolve();
  #cleaning: Owned | undefined;

  constructor(parts: IncidentsParts) {
    this.#parts = parts;
    const { clock, tailOf, ignored } = parts;
    this.#gatherer = new EvidenceGatherer({
      clock,
      tailOf,
      ignored,
      ...(parts.cores === undefined ? {} : { cores: parts.cores }),
      done: (id, missing) => this.#gathered(id, missing),
    });
    makeDirectory(parts.directory, 0o700);
  }

  /** Reads what earlier supervisors left, beside everything else. `isOpen`: somebody still follows this incident. */
  begin(isOpen: (id: string, plugin: string) => boolean): void {
    this.#found = this.#find(isOpen).catch((error: unknown) => {
      this.#parts.ignored('incidents of earlier supervisors cannot be read, ignoring', asFailure(error));
    });
  }

  /**
   * Opens a bundle. What lives of the sandbox is looked at now, for at most a few milliseconds; the rest of the evidence
   * follows. Returns the incident with the requests that were in the sandbox's hands; undefined for one that is there
   * already, which stays as it is.
   */
  open(decided: Incident, scene: IncidentScene | undefined): Incident | undefined {
    const { clock } = this.#parts;
    const bundle = new IncidentBundle(this.#parts.directory, decided.id);
    if (!isIncidentId(decided.id) || this.#known.has(decided.id) || bundle.exists) return undefined;
    const storm = this.#isStorm();
    const seen = scene === undefined || storm ? undefined : this.#look(scene);
    const incident = withRequests(decided, seen?.page, clock.now());
    const core = scene === undefined ? null : coreExpected(incident, scene);
    const job = { incident, bundle, seen, seenAt: clock.now(), core };
    const taken = !storm && this.#gatherer.add(job);
    const missing = taken ? [] : ['all evidence but this: too many incidents at once'];
    this.#put({
      format: 1,
      incident,
      steps: [],
      over: null,
      evidence: taken ? 'gathering' : 'whole',
      missing,
      core,
    });
    this.#cleanUpSoon();
    return incident;
  }

  step(id: string, text: string): void {
    const stored = this.#get(id);
    if (stored !== undefined) this.#put(withStep(stored, { at: this.#parts.wall(), text }));
  }

  /** How it ended; the first word counts. */
  over(id: string, text: string): void {
    const stored = this.#get(id);
    if (stored !== undefined && stored.over === null) this.#put({ ...stored, over: { at: this.#parts.wall(), text } });
  }

  /** Newest first. */
  async list(plugin: string | undefined, most: number): Promise<IncidentSummary[]> {
    await this.#found;
    return [...this.#known.values()]
      .filter((each) => plugin === undefined || each.plugin === plugin)
      .sort((one, other) => other.at - one.at)
      .slice(0, most);
  }

  /** Undefined for one that is not there, or not any more. */
  read(id: string): ReadIncident | undefined {
    if (!isIncidentId(id)) return undefined;
    const bundle = new IncidentBundle(this.#parts.directory, id);
    const stored = this.#open.get(id) ?? bundle.read();
    return stored === undefined ? undefined : { stored, bundle, files: bundle.files() };
  }

  /** Removes what is too old or too much. */
  async cleanUp(): Promise<void> {
    const { retention, wall, directory, ignored } = this.#parts;
    await this.#found;
    for (const id of outlived(this.#known.values(), retention(), wall())) {
      this.#known.delete(id);
      this.#open.delete(id);
      try {
        await new IncidentBundle(directory, id).remove();
      } catch (error) {
        ignored(`incident '${id}' cannot be removed, ignoring`, asFailure(error));
      }
    }
  }

  release(): void {
    this.#cleaning?.release();
    this.#gatherer.release();
  }

  /** Whatever goes wrong with looking, recovery goes on. */
  #look({ place }: IncidentScene): SandboxEvidence | undefined {
    try {
      return lookAtSandbox(place, this.#parts.clock);
    } catch (error) {
      this.#parts.ignored(`what lives in '${place.cgroup}' cannot be looked at, ignoring`, asFailure(error));
      return undefined;
    }
  }

  #cleanUpSoon(): void {
    this.#cleaning ??= this.#parts.clock.after(CLEAN_UP_PAUSE_MS, () => {
      this.#cleaning = undefined;
      void this.cleanUp();
    });
  }

  #isStorm(): boolean {
    const now = this.#parts.clock.now();
    while (this.#recent.length > 0 && now - (this.#recent[0] ?? now) > STORM_MS) this.#recent.shift();
    if (this.#recent.length >= STORM) return true;
    this.#recent.push(now);
    return false;
  }

  #get(id: string): StoredIncident | undefined {
    return this.#open.get(id) ?? this.read(id)?.stored;
  }

  /** On disk first. A full disk must not keep anybody from being recovered. */
  #put(stored: StoredIncident): void {
    const { id } = stored.incident;
    const bundle = new IncidentBundle(this.#parts.directory, id);
    let bytes = this.#known.get(id)?.bytes ?? 0;
    try {
      bundle.write(stored);
      bytes = bundle.size();
    } catch (error) {
      this.#parts.ignored(`incident '${id}' cannot be written, ignoring`, asFailure(error));
    }
    if (stored.over !== null && stored.evidence === 'whole') this.#open.delete(id);
    else this.#open.set(id, stored);
    this.#known.set(id, summaryOf(stored, bytes));
  }

  #gathered(id: string, missing: readonly string[]): void {
    const stored = this.#get(id);
    if (stored === undefined) return;
    this.#put({ ...stored, evidence: 'whole', missing });
    flushFile(new IncidentBundle(this.#parts.directory, id).incidentFile).catch((error: unknown) => {
      this.#parts.ignored(`incident '${id}' may not survive a loss of power, ignoring`, asFailure(error));
    });
  }

  async #find(isOpen: (id: string, plugin: string) => boolean): Promise<void> {
    const { directory, clock } = this.#parts;
    const names = readdirSync(directory).filter(isIncidentId);
    for (const [index, id] of names.entries()) {
      if (index % AT_ONCE === AT_ONCE - 1) await setImmediate();
      if (this.#known.has(id)) continue;
      const bundle = new IncidentBundle(directory, id);
      const stored = bundle.read();
      if (stored === undefined || stored.incident.id !== id) {
        await bundle.remove();
        continue;
      }
      this.#known.set(id, summaryOf(stored, bundle.size()));
      const forgotten = stored.over === null && !isOpen(id, stored.incident.plugin);
      if (forgotten) this.over(id, 'nobody followed it to its end: the supervisor was away');
      if (stored.evidence === 'gathering') {
        const job = { incident: stored.incident, bundle, seen: undefined, seenAt: clock.now(), core: stored.core };
        if (!this.#gatherer.add(job)) this.#gathered(id, ['evidence: the supervisor ended before it was gathered']);
      }
    }
  }
}

/** A death tells nothing of the requests that it took along; the page that the dead one has left may. */
function withRequests(incident: Incident, page: Uint8Array | undefined, now: number): Incident {
  if (incident.verdict.traceIds.length > 0 || page === undefined) return incident;
  const traceIds = inFlight(parseActivityPage(page, now)).flatMap(({ traceId }) => traceId ?? []);
  return { ...incident, verdict: { ...incident.verdict, traceIds } };
}

function coreExpected({ verdict }: Incident, { uids, coreLimit }: IncidentScene): CoreExpected | null {
  return coreLimit === 0 || !DUMPING.includes(verdict.class) ? null : { uids, limit: coreLimit };
}
