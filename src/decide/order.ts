import type { FailureCode } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';
import type { ForbiddenCall } from '../diagnose/exit.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { Gate, PluginPlan, SlotName, StartOrder } from '../plan/plan.ts';
import type { ReachedName } from './limit-reach.ts';
import type { Reason } from './observation.ts';
import type { FailedPlan, UpgradeKind } from './upgrade.ts';

/** What is to be done. Orders are carried out in their sequence; what comes of them returns as observations. */
export type Order =
  /** Read declaration and host, answer with `declared` or `undeclarable`. */
  | { readonly kind: 'load' }
  /** Make the listening sockets of all plans in force, or find that they exist; answers `listening` or `not-listening`. */
  | { readonly kind: 'listen'; readonly upgrade?: string | undefined }
  /** Close all listening sockets of the plugin. */
  | { readonly kind: 'unlisten' }
  /** Answers `became-ready` or `start-failed`. */
  | ({ readonly kind: 'start'; readonly unit: string } & StartOrder)
  /** Give a living sandbox the plan's limits; answers `limited` or `limit-refused`. */
  | { readonly kind: 'limit'; readonly unit: string }
  /** Ends, in time, in `exited` and `cleared`. `timeoutMs`: when it is killed, if not after the declared time. */
  | { readonly kind: 'stop'; readonly unit: string; readonly timeoutMs?: number | undefined }
  /** Kill the payload without asking it first; ends in `exited` and `cleared`. */
  | { readonly kind: 'kill'; readonly unit: string }
  /** Let nothing of it run any more, so that it can be looked at. */
  | { readonly kind: 'freeze'; readonly unit: string }
  /** Open or close it for connections; answers `gate`. */
  | { readonly kind: 'gate'; readonly unit: string; readonly gate: Gate }
  /** Open an incident. Comes before the orders that destroy its evidence: what is to be seen of the living is read now. */
  | { readonly kind: 'incident'; readonly incident: Incident }
  /** Tell whoever calls the plugin that this sandbox died with what it had in its hands. */
  | ({ readonly kind: 'crashed'; readonly unit: string } & Crash)
  /** Something more was done about it, or seen. */
  | { readonly kind: 'incident-step'; readonly id: string; readonly text: string }
  | { readonly kind: 'incident-over'; readonly id: string; readonly text: string }
  /** Run a command of the declaration on the host; answers `ran`. */
  | ({ readonly kind: 'run' } & RunOrder)
  /** Kill what may be left of a dead sandbox; ends in `cleared`. */
  | { readonly kind: 'clear'; readonly unit: string }
  /** Nothing is left of it: forget its record, give back its uid range. */
  | { readonly kind: 'forget'; readonly unit: string }
  /** Plan another version, or for `previous` what was live before; answers `upgrade-planned` or `upgrade-unplannable`. */
  | { readonly kind: 'plan-version'; readonly id: string; readonly version: WantedVersion }
  /**
   * Look whether the plan may run beside the live one: digest of its version, pre-check, memory for `surge` sandboxes
   * more, and that there is a way back, unless it is forced. A rollback is not asked for more than the digest. Answers
   * `verified` or `unverified`.
   */
  | {
      readonly kind: 'verify';
      readonly id: string;
      readonly upgrade: UpgradeKind;
      readonly plan: PluginPlan;
      readonly from: PluginPlan;
      readonly surge: number;
      readonly force: boolean;
    }
  /**
   * So many percent of the new connections go to the slot that is not live; answers `weighed` or `not-weighed`. Those of
   * a plugin are carried out one after the other.
   */
  | { readonly kind: 'weigh'; readonly live: SlotName; readonly weight: number }
  /**
   * The durable record of the plugin's versions; one after the other, and after every `verify` before. `begin-upgrade`
   * keeps the version from being removed. `commit` makes it the live one, as long as the declaration names `declared`;
   * answers `committed` or `not-committed`. `end-upgrade`: none is under way any more, this is live, and these failed;
   * answers `upgrade-ended`.
   */
  | { readonly kind: 'begin-upgrade'; readonly id: string; readonly version: string | undefined }
  | ({ readonly kind: 'commit'; readonly id: string; readonly by: string } & LiveVersion)
  | ({ readonly kind: 'end-upgrade'; readonly failed: readonly FailedPlan[] } & LiveVersion)
  /** Let all that runs see this version's directory; answers `switched` or `not-switched`. */
  | { readonly kind: 'switch'; readonly id: string; readonly slot: SlotName; readonly version: string | undefined }
  /** Tell the payload that its directory is another one. */
  | { readonly kind: 'signal'; readonly unit: string; readonly signal: string }
  /** Observe `woke` at this monotonic time (ms); replaces the one before; undefined: none. */
  | { readonly kind: 'wake'; readonly at: number | undefined }
  | { readonly kind: 'tell'; readonly word: AnchorWord }
  /** Something for people and for the history. */
  | {
      readonly kind: 'note';
      readonly what: NoteKind;
      readonly unit: string | undefined;
      readonly code: FailureCode | undefined;
      readonly text: string;
      readonly forbidden?: ForbiddenCall | undefined;
      /** The limit that it is about. */
      readonly limit?: ReachedName | undefined;
      /** How it failed, and the incident that was opened for it. */
      readonly class?: FailureClass | undefined;
      readonly incident?: string | undefined;
      /** Id of the change of version that it belongs to. */
      readonly upgrade?: string | undefined;
    };

/** What callers are told of a death. */
export interface Crash {
  readonly generation: number;
  readonly class: FailureClass;
  /** One line. */
  readonly text: string;
  /** Id of its incident; null for one that has none. */
  readonly incident: string | null;
}

/** A version by its name; what the declaration names now; or what the durable record has as the one before. */
export type WantedVersion = { readonly named: string } | 'declared' | 'previous';

/** What the durable record says of versions. */
export interface LiveVersion {
  readonly version: string | undefined;
  readonly previous: string | undefined;
  /** The declaration's own, for which this one stands until the declaration names another one. */
  readonly declared: string | undefined;
}

export interface RunOrder {
  readonly incident: string;
  readonly words: readonly string[];
  readonly timeoutMs: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** What the anchor is told; `status` is also what `systemctl status` shows. */
export type AnchorWord =
  | { readonly word: 'status'; readonly text: string }
  | { readonly word: 'ready' }
  | { readonly word: 'failed'; readonly reason: Reason }
  | { readonly word: 'stopped' };

export type NoteKind =
  | 'wanted'
  | 'adopted'
  | 'starting'
  | 'ready'
  | 'died'
  | 'start-failed'
  | 'backing-off'
  | 'failed'
  | 'stopping'
  | 'stopped'
  | 'listener'
  | 'limit'
  | 'declaration'
  | 'learning'
  | 'promoted'
  | 'recovering'
  | 'recovered'
  | 'recycling'
  | 'traffic'
  | 'quarantined'
  | 'released'
  | 'fenced'
  | 'upgrading'
  | 'weighed'
  | 'upgraded'
  | 'rolled-back'
  | 'upgrade-refused'
  | 'upgrade-aborted'
  | 'note';
