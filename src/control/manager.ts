import type { Owned } from '../base/clock.ts';
import type { AuditReport, EventRecord, LearnReport, PlanReport, PluginStatus, PluginSummary } from './api.ts';

export type ControlVerb = 'start' | 'stop' | 'restart';

/** The supervisor as a client sees it: what the verbs work on, over D-Bus or (in tests) in memory. */
export interface Manager extends Owned {
  version(): Promise<string>;
  list(): Promise<readonly PluginSummary[]>;
  status(name: string): Promise<PluginStatus>;
  plan(name: string): Promise<PlanReport>;
  audit(name: string): Promise<AuditReport>;
  learn(name: string, seconds: number): Promise<LearnReport>;
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
