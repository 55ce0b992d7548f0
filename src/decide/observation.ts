import type { FailureCode } from '../base/failure.ts';
import type { LimitCounters } from '../base/limit-counters.ts';
import type { Exit } from '../diagnose/exit.ts';
import type { Judgement, SideSignals } from '../diagnose/judge.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import type { Gate, PluginPlan, SlotName } from '../plan/plan.ts';
import type { FailedPlan, UpgradeOptions } from './upgrade.ts';

/** Why something is not well, in words for people. */
export interface Reason {
  readonly code: FailureCode;
  readonly text: string;
}

/** What was seen about one plugin. Observations come from watches, from systemd, and from orders carried out. */
export type Observation =
  /** Its anchor runs. `automatic`: systemd restarted the anchor by itself, nobody asked for a new start. */
  | { readonly kind: 'wanted'; readonly invocation: string; readonly automatic: boolean }
  /** Its anchor was asked to stop, or is not there any more. */
  | { readonly kind: 'unwanted' }
  /** `failed`: plans that failed, as the durable record has them, which outlives a reboot. */
  | {
      readonly kind: 'declared';
      readonly plan: PluginPlan;
      /** The version that the declaration itself names. */
      readonly declared?: string | undefined;
      readonly failed?: readonly FailedPlan[];
    }
  | { readonly kind: 'undeclarable'; readonly reason: Reason }
  /** Its listening sockets exist. `upgrade`: those of both sides of it. */
  | { readonly kind: 'listening'; readonly upgrade?: string | undefined }
  | { readonly kind: 'not-listening'; readonly reason: Reason; readonly upgrade?: string | undefined }
  /** The failed anchor was reset (`systemctl reset-failed`): the failure is not to be shown any more. */
  | { readonly kind: 'forgiven' }
  /** The supervisor itself was started anew, and the state was restored. */
  | { readonly kind: 'resumed' }
  /** Somebody asked to apply the declaration as it is now. */
  | { readonly kind: 'reload' }
  | { readonly kind: 'became-ready'; readonly unit: string }
  | { readonly kind: 'start-failed'; readonly unit: string; readonly reason: Reason }
  | { readonly kind: 'exited'; readonly unit: string; readonly exit: Exit }
  /** What is counted against its limits has changed. */
  | { readonly kind: 'counted'; readonly unit: string; readonly counters: LimitCounters }
  /** journald dropped so many messages of it. */
  | { readonly kind: 'messages-dropped'; readonly unit: string; readonly count: number }
  /** The sandbox has the limits with this digest. */
  | { readonly kind: 'limited'; readonly unit: string; readonly limits: string }
  | { readonly kind: 'limit-refused'; readonly unit: string; readonly limits: string; readonly reason: Reason }
  | { readonly kind: 'stop-seen'; readonly unit: string }
  /** Something is wrong with it though it lives. Told once, not with every look. */
  | { readonly kind: 'diagnosed'; readonly unit: string; readonly verdict: Verdict }
  /** A probe passes now, or does not any more. */
  | {
      readonly kind: 'probed';
      readonly unit: string;
      readonly probe: 'startup' | 'readiness' | 'liveness';
      readonly passes: boolean;
      readonly text: string;
    }
  /** What init says that holds now. */
  | { readonly kind: 'gate'; readonly unit: string; readonly gate: Gate }
  /** It was killed, and tasks of it are still there: the kernel does not let go of them. Told again until it does. */
  | { readonly kind: 'unkillable'; readonly unit: string }
  /** All sandboxes are to be started anew, one after the other. */
  | { readonly kind: 'recycle-asked'; readonly by: string }
  /** Somebody lets the plugin out of quarantine. */
  | { readonly kind: 'released'; readonly by: string }
  /** A command of a recovery ended. */
  | { readonly kind: 'ran'; readonly incident: string; readonly status: number; readonly text: string }
  /** Something is wrong with the node. */
  | { readonly kind: 'node-ill'; readonly verdict: Verdict }
  | { readonly kind: 'cleared'; readonly unit: string }
  /** Somebody wants to know what the payload calls: one more sandbox is to run, in which all calls are noted. */
  | { readonly kind: 'learn-asked'; readonly forMs: number }
  /** Its time is over. */
  | { readonly kind: 'learned'; readonly unit: string }
  /** Somebody wants another version beside the live one; undefined: what the declaration says now. */
  | {
      readonly kind: 'upgrade-asked';
      readonly version: string | undefined;
      readonly by: string;
      readonly why: string | undefined;
      readonly options: UpgradeOptions;
    }
  /** Somebody wants what was live before: what is under way is undone, else it is an upgrade to that. */
  | { readonly kind: 'rollback-asked'; readonly by: string; readonly why: string | undefined }
  /** Answers to the orders of an upgrade, with its id: what comes too late is for another one. */
  | {
      readonly kind: 'upgrade-planned';
      readonly id: string;
      readonly plan: PluginPlan;
      /** What the declaration itself names. */
      readonly declared: string | undefined;
    }
  | { readonly kind: 'upgrade-unplannable'; readonly id: string; readonly reason: Reason }
  /** `noWayBack`: why what serves cannot be gone back to, which was borne. */
  | { readonly kind: 'verified'; readonly id: string; readonly noWayBack?: Reason | undefined }
  | { readonly kind: 'unverified'; readonly id: string; readonly reason: Reason }
  /** So much of the new connections goes to the slot that is not the live one. */
  | { readonly kind: 'weighed'; readonly live: SlotName; readonly weight: number }
  | { readonly kind: 'not-weighed'; readonly live: SlotName; readonly weight: number; readonly reason: Reason }
  | { readonly kind: 'committed'; readonly id: string }
  | { readonly kind: 'not-committed'; readonly id: string; readonly reason: Reason }
  /** The durable record says that nothing is under way. */
  | { readonly kind: 'upgrade-ended' }
  /** What runs sees this version's directory. */
  | { readonly kind: 'switched'; readonly id: string; readonly version: string | undefined }
  | {
      readonly kind: 'not-switched';
      readonly id: string;
      readonly version: string | undefined;
      readonly reason: Reason;
    }
  /** What both sides did since their stage began, and what is made of it. */
  | {
      readonly kind: 'signals';
      readonly id: string;
      readonly old: SideSignals;
      readonly new: SideSignals;
      readonly judgement: Judgement;
    }
  /** The time came that the last `wake` order named. */
  | { readonly kind: 'woke' };

export type ObservationKind = Observation['kind'];
