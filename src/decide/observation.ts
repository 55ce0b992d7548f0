import type { FailureCode } from '../base/failure.ts';
import type { LimitCounters } from '../base/limit-counters.ts';
import type { Exit } from '../diagnose/exit.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import type { Gate, PluginPlan } from '../plan/plan.ts';

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
  | { readonly kind: 'declared'; readonly plan: PluginPlan }
  | { readonly kind: 'undeclarable'; readonly reason: Reason }
  /** Its listening sockets exist. */
  | { readonly kind: 'listening' }
  | { readonly kind: 'not-listening'; readonly reason: Reason }
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
  /** The time came that the last `wake` order named. */
  | { readonly kind: 'woke' };

export type ObservationKind = Observation['kind'];
