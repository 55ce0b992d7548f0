import type { Finding, Verdict } from '../audit/finding.ts';
import type { LimitInForce } from '../audit/limits-in-force.ts';
import type { FailureCode } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';
import type { ReachedName } from '../decide/limit-reach.ts';
import type { NoteKind } from '../decide/order.ts';
import type { NodeThresholds } from '../declare/configuration.ts';
import type { ProbeName } from '../declare/probe.ts';
import type { NodeFacts } from '../diagnose/node-facts.ts';
import type { TroubleKind } from '../diagnose/node-health.ts';
import type { ChangeWay } from '../plan/changes.ts';
import type { IncidentReport, IncidentSummary, WhyReport } from './incident-api.ts';
import type { VersionNews } from './manager.ts';
import type { ResilienceStatus } from './resilience.ts';
import type { UpgradeOptions, UpgradeReport } from './upgrade-api.ts';

/** What the supervisor tells about itself and its plugins: the JSON of the D-Bus API and of `bulkheadctl --json`. */

/** One plugin on one line. */
export interface PluginSummary {
  readonly name: string;
  /**
   * `stopped` nobody wants it; `starting` not one sandbox ready yet; `running` all ready; `degraded` some ready;
   * `failed` given up, with a reason; `stopping`; `invalid` declaration has problems (and nothing runs).
   */
  readonly state: PluginState;
  readonly version: string | null;
  readonly ready: number;
  readonly size: number;
  /** One line of truth, the same that `systemctl status` shows. */
  readonly line: string;
  /** Why it is failed, degraded or invalid; null when all is well. */
  readonly reason: { readonly code: FailureCode; readonly text: string } | null;
}

export type PluginState = 'stopped' | 'starting' | 'running' | 'degraded' | 'failed' | 'stopping' | 'invalid';

export interface PluginStatus extends PluginSummary, UpgradeReport {
  readonly declaration: readonly string[];
  readonly description: string;
  readonly anchorUnit: string;
  readonly sliceUnit: string;
  readonly slot: string;
  /** `nspawn` or `scope`; '' when there is no plan. */
  readonly isolation: string;
  readonly seccomp: string;
  /** The plugin's lasting directory on the host; null when it has none. */
  readonly stateDirectory: StateStatus | null;
  readonly listeners: readonly ListenerStatus[];
  /** Connections that had been left at a slot that was not served any more, and were answered; since the supervisor's start. */
  readonly stragglers: number;
  /** Null for a plugin that takes no calls. */
  readonly calls: CallsStatus | null;
  readonly network: NetworkStatus;
  readonly sandboxes: readonly SandboxStatus[];
  /** Limits of the plugin as a whole, which its slice has; empty while nothing runs. */
  readonly limits: readonly LimitInForce[];
  /** Restarts inside the budget's window, and the budget. */
  readonly restarts: {
    readonly recent: number;
    readonly budget: number;
    readonly withinMs: number;
    readonly total: number;
  };
  /** Given up because the steps against a failure are used up: it waits for `bulkheadctl release`. */
  readonly quarantined: boolean;
  /** Incidents that are over; those among them that took nobody's hand, and how long these took on average. */
  readonly recoveries: { readonly over: number; readonly alone: number; readonly meanMs: number | null };
  /** The last thing that failed; null when nothing is remembered. */
  readonly lastFailure: {
    readonly class: FailureClass;
    readonly kind: string | null;
    /** Wall clock, milliseconds since 1970. */
    readonly at: number;
    readonly incident: string;
  } | null;
  /** Incidents that are not over. */
  readonly open: readonly string[];
  /** Null while nothing runs. */
  readonly resilience: ResilienceStatus | null;
  /** Milliseconds until the next start, when the back-off holds one back. */
  readonly nextStartMs: number | null;
}

export interface StateStatus {
  readonly path: string;
  readonly quotaBytes: number | null;
  /** Whether the quota is in force; null when that cannot be seen, as before the first start. */
  readonly quotaHolds: boolean | null;
}

/** Where a plugin takes calls. */
export interface CallsStatus {
  /** The socket that tells clients which sandboxes there are. */
  readonly discovery: string;
  /** Where sandboxes have their sockets, each called by its generation. */
  readonly directory: string;
  /** Owner and mode of all of them: `root:app 0660`. */
  readonly access: string;
  /** Clients that follow discovery now; null while it is not served. */
  readonly clients: number | null;
}

/** What a plugin can reach beside its sockets. */
export interface NetworkStatus {
  readonly mode: 'none' | 'egress' | 'host';
  /** `HOST:PORT`, as declared. */
  readonly egress: readonly string[];
}

export interface ListenerStatus {
  readonly address: string;
  readonly name: string;
  /** Port of the program that connections are forwarded to; null for a socket that it is handed. */
  readonly to: number | null;
  readonly kept: boolean;
  /** The listeners at the address, one for each slot that has one; none while the plugin is off. */
  readonly slots: readonly SlotListenerStatus[];
}

export interface SlotListenerStatus {
  readonly slot: 'a' | 'b';
  /** Percent of the address's new connections that it gets. */
  readonly weight: number;
  /** Connections that wait to be accepted; of a Unix socket 1 stands for any number. Null: it does not listen any more. */
  readonly queued: number | null;
}

/** Where a sandbox stands, without a look at it. */
export interface SandboxStanding {
  readonly unit: string;
  readonly state: 'starting' | 'ready' | 'stopping' | 'frozen' | 'fenced' | 'gone';
  /** It is a spare, without traffic until it is promoted. */
  readonly standby: boolean;
  /** Place in the pool, from 0 on; null for one that has none. */
  readonly seat: number | null;
  /** Whether it gets connections, as init said last: `open`, `held` as a standby, `shut`; null when it always does. */
  readonly gate: 'open' | 'held' | 'shut' | null;
  /** Health of its seat in the pool, 0 to 100; below 60 it gets no connections, if another one can have them. */
  readonly score: number | null;
  /** What is wrong with it though it lives. */
  readonly illness: { readonly class: FailureClass; readonly kind: string | null; readonly text: string } | null;
  /** As of the last heartbeat; null before the first. */
  readonly vitals: VitalsStatus | null;
}

export interface SandboxStatus extends SandboxStanding {
  readonly isolation: string;
  readonly machine: string;
  readonly slot: string;
  readonly generation: number;
  readonly version: string | null;
  /** Host pid of the payload's main process; null while there is none. */
  readonly payloadPid: number | null;
  readonly initPid: number | null;
  readonly cgroup: string | null;
  readonly uidBase: number;
  readonly uidCount: number;
  /** It runs beside the pool to learn what its payload calls. */
  readonly learning: boolean;
  readonly seccomp: { readonly profile: string; readonly mode: number | null; readonly filters: number | null };
  readonly memoryBytes: number | null;
  readonly tasks: number | null;
  readonly readySinceMs: number | null;
  readonly statusText: string | null;
  /** What its probes said last; none for one that has not said anything yet. */
  readonly probes: readonly ProbeStatus[];
  readonly limits: readonly LimitInForce[];
  /** Limits that it was at, the last one first. */
  readonly limitsReached: readonly LimitReached[];
}

/** What a probe says: `unasked` when the question could not be put, with what was known before. */
export interface ProbeStatus {
  readonly name: ProbeName;
  readonly passes: boolean;
  readonly asked: boolean;
  readonly text: string;
  readonly agoMs: number;
}

/** What a sandbox is at. What the host or the payload does not tell is null. */
export interface VitalsStatus {
  readonly agoMs: number;
  /** Percent of one CPU since the heartbeat before. */
  readonly cpuPercent: number | null;
  readonly cpuMs: number | null;
  /** What its processes have in memory, shared pages with each. */
  readonly residentBytes: number;
  readonly processes: number;
  readonly threads: number;
  /** Of the process that has the most. */
  readonly descriptors: number;
  readonly frozen: boolean;
  /** From the activity page. */
  readonly requests: {
    readonly done: number;
    readonly failed: number;
    readonly inFlight: number;
    readonly oldestMs: number | null;
  } | null;
}

export interface LimitReached {
  /** Key below `limits`; `tmp` is `view.tmp`. */
  readonly limit: ReachedName;
  /** How often, as far as it was seen: forks, periods, messages, processes' ends. */
  readonly count: number;
  /** `tasks 50 (181 forks refused)`. */
  readonly text: string;
  /** Since the last time, milliseconds. */
  readonly agoMs: number;
}

/** Something that happened, newest last. Numbers grow; a gap means that the ring dropped older ones. */
export interface EventRecord {
  readonly number: number;
  /** Wall clock, milliseconds since 1970. */
  readonly at: number;
  readonly plugin: string | null;
  readonly unit: string | null;
  readonly kind: EventKind;
  readonly code: FailureCode | null;
  /** Of the failure that it is about, and the incident that was opened for it. */
  readonly class: FailureClass | null;
  readonly incident: string | null;
  readonly text: string;
}

export type EventKind = NoteKind | 'incident' | 'supervisor-started' | 'version';

/** One planned thing with its origin, as `bulkheadctl plan` prints it. */
export interface PlanReport {
  readonly plugin: string;
  readonly version: string | null;
  readonly digest: string;
  readonly sections: readonly PlanSection[];
  /** What differs from the plan in force, with how a reload applies it, and sandboxes that are outdated or missing. */
  readonly differences: readonly string[];
  /** What a reload would do now; null when nothing runs, or nobody could be asked. */
  readonly reload: {
    /** The most disruptive way that it takes; null when there is nothing to do. */
    readonly way: ChangeWay | null;
    /** Why it would not be done by itself. */
    readonly refused: string | null;
  } | null;
  /** False when the supervisor could not be asked what runs. */
  readonly compared: boolean;
}

export interface PlanSection {
  /** `unit plugin-hello-a-g1.service`, `slice`, `mounts`, `sockets`, `filter`, `command`, `declaration`. */
  readonly title: string;
  readonly rows: readonly { readonly key: string; readonly value: string; readonly origin: string }[];
}

/** What is found when the living sandboxes of a plugin are compared with the plan in force. */
export interface AuditReport {
  readonly plugin: string;
  readonly state: PluginState;
  /** Digest of the plan in force; null when nothing runs. */
  readonly digest: string | null;
  /** The gravest of all findings; null when no sandbox was compared. */
  readonly verdict: Verdict | null;
  /** About the plugin's slice. */
  readonly slice: readonly Finding[];
  readonly sandboxes: readonly AuditedSandbox[];
  /** Sandboxes that were not compared: they start, or ended meanwhile. */
  readonly notCompared: readonly { readonly unit: string; readonly why: string }[];
}

export interface AuditedSandbox {
  readonly unit: string;
  readonly initPid: number | null;
  /** Main process of the payload. */
  readonly payloadPid: number | null;
  /** Processes that were read, init among them. */
  readonly processes: number;
  readonly findings: readonly Finding[];
}

/** What a run of a plugin in which all calls were noted has shown. Lines are those of seccomp lists, without reasons. */
export interface LearnReport {
  readonly plugin: string;
  readonly unit: string;
  readonly seconds: number;
  /** How the payload ended before its time; null when it did not. */
  readonly ended: string | null;
  /** Profile and parts that the plugin has now. */
  readonly filter: string;
  /** Different system calls that were seen. */
  readonly calls: number;
  /** Whether it accepted a connection; without one, what it does for its clients was not seen. */
  readonly served: boolean;
  /** Lines of the filter as it is now. */
  readonly lines: number;
  readonly proposed: readonly string[];
  /** Lines of the filter as it is now, or values in them, that nothing used. */
  readonly unused: readonly string[];
  /** What was called and would have ended the plugin, or would have been answered otherwise. */
  readonly missing: readonly string[];
  /** What was called and refused, because no profile allows it. */
  readonly refused: readonly string[];
  /** The proposed list as the text of a file. */
  readonly list: string;
}

/** What all that runs is at. Nothing is read for it: it may be asked for every second. */
export interface LoadReport {
  /** Monotonic ms of the supervisor, for rates between two reports. */
  readonly at: number;
  readonly plugins: readonly {
    readonly name: string;
    readonly state: PluginState;
    /** Of the last day. */
    readonly incidents: number;
    readonly sandboxes: readonly SandboxStanding[];
  }[];
}

/** What the control folder needs of the running supervisor. */
export interface Supervisor {
  list(): Promise<readonly PluginSummary[]>;
  /** Throws Failure BH404 for a name that is neither declared nor running. */
  status(name: string): Promise<PluginStatus>;
  plan(name: string): Promise<PlanReport>;
  /** Compares what lives with the plan in force. Throws Failure BH404 as status() does. */
  auditWalls(name: string): Promise<AuditReport>;
  /** Runs one more sandbox for so long and proposes a profile. Throws Failure BH312 when that cannot be done. */
  learn(name: string, seconds: number, caller: Caller): Promise<LearnReport>;
  /** Why it is as it is, and what to do. Throws Failure BH404 as status() does. */
  why(name: string): Promise<WhyReport>;
  /** Incidents of a plugin, or of all for '', newest first. */
  incidents(name: string, limit: number): Promise<readonly IncidentSummary[]>;
  /** Throws Failure BH408 for one that is not kept. */
  incident(id: string): IncidentReport;
  /**
   * `release`: lets the plugin out of quarantine; Failure BH409 when it is not in it. `recycle`: replaces its sandboxes one
   * after the other, the new one first; Failure BH410 when nothing runs.
   */
  order(name: string, verb: 'release' | 'recycle', caller: Caller): void;
  /**
   * Begins a change to this version, or for '' to the declaration as it is now; answers with its id. Throws Failure BH201
   * or BH425 to BH428, which say why it did not begin.
   */
  upgrade(name: string, version: string, options: UpgradeOptions, caller: Caller): Promise<string>;
  /** Undoes the change that is under way, or goes back to the version before. Throws Failure BH427 when there is none. */
  rollback(name: string, why: string, caller: Caller): string;
  upgradeReport(name: string): UpgradeReport;
  /** Notes that somebody has changed what is installed of a plugin. */
  noteVersion(name: string, news: VersionNews, caller: Caller): void;
  /** What all sandboxes use, as of their last heartbeats. */
  load(): Promise<LoadReport>;
  /** Events with a number greater than `after` that are still in the ring (the last 1000), at most `limit`. */
  events(after: number, limit: number): readonly EventRecord[];
  /** Starts, stops or restarts plugin@NAME through systemd and waits for the job; Failure with the reason otherwise. */
  control(name: string, verb: 'start' | 'stop' | 'restart', caller: Caller): Promise<void>;
  /** Calls back for each new event until released. */
  onEvent(listener: (event: EventRecord) => void): { release(): void };
  /** The health of the node. */
  node(): NodeReport;
  readonly version: string;
}

/** The health of the node, as it was last seen; null for what was not seen yet. */
export interface NodeReport {
  /** Milliseconds since 1970. */
  readonly at: number | null;
  readonly facts: NodeFacts | null;
  readonly thresholds: NodeThresholds;
  /** What is above its threshold, for looks in a row. */
  readonly troubles: readonly { readonly kind: TroubleKind; readonly gpu: string | null; readonly text: string }[];
  /** Why the last look failed. */
  readonly failure: { readonly code: FailureCode; readonly text: string } | null;
}

export interface Caller {
  readonly uid: number;
  readonly pid: number;
}
