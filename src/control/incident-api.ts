import type { FailureCode } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { TasksSeen } from '../kernel/task-evidence.ts';
import type { FlightEvidence } from '../record/evidence-gatherer.ts';
import type { BundleFile } from '../record/incident-bundle.ts';
import type { IncidentStep, IncidentSummary } from '../record/stored-incident.ts';
import type { PluginState } from './api.ts';
import type { UpgradeReport } from './upgrade-api.ts';

export type { IncidentSummary };

/** An incident in words: what happened, why that is believed, what was done, and what to do. */
export interface IncidentStory {
  readonly incident: Incident;
  readonly steps: readonly IncidentStep[];
  /** How it ended; null while the plugin recovers. */
  readonly over: IncidentStep | null;
  readonly evidence: 'gathering' | 'whole';
  /** What of the evidence could not be had, and why. */
  readonly missing: readonly string[];
  /** What its class means, and what to do about it. */
  readonly summary: string;
  readonly advice: string;
}

/** A bundle with its contents but for the core dump; what is not in it is null. */
export interface IncidentReport extends IncidentStory {
  readonly directory: string;
  readonly files: readonly BundleFile[];
  readonly tasks: TasksSeen | null;
  readonly descriptors: readonly string[] | null;
  /** Contents of the cgroup's small files, by name. */
  readonly cgroup: Readonly<Record<string, string>> | null;
  readonly flight: FlightEvidence | null;
  /** The last lines of the sandbox's journal. */
  readonly journal: readonly string[] | null;
}

/** Why a plugin is as it is. */
export interface WhyReport extends Pick<UpgradeReport, 'upgrade' | 'lastUpgrade'> {
  readonly name: string;
  readonly state: PluginState;
  readonly line: string;
  /** Why it is not well, with what to do about it. */
  readonly reason: { readonly code: FailureCode; readonly text: string; readonly advice: string } | null;
  /** Milliseconds since the youngest sandbox of a pool that is whole became ready; null when it is not whole. */
  readonly wellForMs: number | null;
  readonly quarantined: boolean;
  /** The last thing that failed; null when nothing is remembered. */
  readonly last: IncidentStory | null;
  /** Other incidents of the last day, by class. */
  readonly lately: readonly { readonly class: FailureClass; readonly count: number }[];
}
