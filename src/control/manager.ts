import type { Owned } from '../base/clock.ts';
import type {
  AuditReport,
  EventRecord,
  LearnReport,
  LoadReport,
  NodeReport,
  PlanReport,
  PluginStatus,
  PluginSummary,
} from './api.ts';
import type { IncidentReport, IncidentSummary, WhyReport } from './incident-api.ts';
import type { UpgradeOptions, UpgradeReport } from './upgrade-api.ts';

export type ControlVerb = 'start' | 'stop' | 'restart';

/** What the supervisor does by itself, without a job of systemd's. */
export type OrderVerb = 'release' | 'recycle';

/** What was done to an installed version. */
export interface VersionNews {
  readonly version: string;
  readonly what: 'installed' | 'removed';
}

/** The supervisor as a client sees it: what the verbs work on, over D-Bus or (in tests) in memory. */
export interface Manager extends Owned {
  version(): Promise<string>;
  list(): Promise<readonly PluginSummary[]>;
  status(name: string): Promise<PluginStatus>;
  plan(name: string): Promise<PlanReport>;
  audit(name: string): Promise<AuditReport>;
  learn(name: string, seconds: number): Promise<LearnReport>;
  why(name: string): Promise<WhyReport>;
  incidents(name: string, limit: number): Promise<readonly IncidentSummary[]>;
  incident(id: string): Promise<IncidentReport>;
  /** Done at once; throws Failure BH409 or BH410 when it does not apply. */
  order(name: string, verb: OrderVerb): Promise<void>;
  /** Answers with the id of the change of version when that has begun; '' as version: as declared now. */
  upgrade(name: string, version: string, options: UpgradeOptions): Promise<string>;
  /** Undoes the change that is under way, or goes back to the version before; answers as `upgrade` does. */
  rollback(name: string, why: string): Promise<string>;
  upgradeReport(name: string): Promise<UpgradeReport>;
  /** Tells the supervisor what was done, for its events. */
  noteVersion(name: string, news: VersionNews): Promise<void>;
  load(): Promise<LoadReport>;
  node(): Promise<NodeReport>;
  /** Events with a number greater than `after`, oldest first, at most `limit`. */
  events(after: number, limit: number): Promise<readonly EventRecord[]>;
  /** Number of the newest event, 0 for none. */
  lastEvent(): Promise<number>;
  /** Resolves when the job is done; throws Failure with the reason otherwise. */
  control(name: string, verb: ControlVerb): Promise<void>;
  /** Calls back from now on, until released. */
  watch(watcher: EventWatcher): Promise<Owned>;
}

export interface EventWatcher {
  /** There are new events; `events` has them. */
  added(): void;
  /** The supervisor went away. */
  lost(): void;
  /** It answers again. Its event numbers may have begun anew. */
  back(): void;
}
