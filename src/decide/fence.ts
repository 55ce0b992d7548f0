import type { Verdict } from '../diagnose/verdict.ts';
import { nextTurn } from './chain.ts';
import type { Draft } from './draft.ts';
import { openIncident } from './incidents.ts';
import { ANSWER_BESIDE, failedBeside } from './new-side.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { living } from './plugin-state.ts';
import { countFailure, take } from './recover.ts';
import { canGoBack, rollbackByRecovery } from './upgrade-ask.ts';

/**
 * Tasks of a sandbox are there though they were killed: the kernel holds them. It is set aside, nothing waits for it, and
 * its place is filled, as long as there are not too many such on the node: each keeps its memory.
 */
export function fence(draft: Draft, sandbox: SandboxEntry): void {
  const { unit, asked, learning } = sandbox;
  const unasked = !asked && living(draft.state).includes(sandbox);
  const unreplaced = draft.moment.unkillableRoom <= 0 && !learning && sandbox.slot === draft.state.slot;
  if (!draft.change(unit, 'unkillable', { unreplaced, verdict: undefined, standby: false })) return;
  // Whatever ended the payload, systemd has to be told, so that the unit goes when the kernel lets go.
  draft.order({ kind: 'clear', unit });
  const text = 'a task of it does not end although it was killed';
  if (sandbox.slot !== draft.state.slot) return fenceBeside(draft, sandbox, unasked, text);
  if (unasked) countFailure(draft, sandbox, { code: 'BH307', text: `sandbox '${unit}': ${text}` });
  const circumstances = {
    riskyAllowed: draft.moment.riskyAllowed,
    budgetUsed: false,
    canGoBack: canGoBack(draft.state),
  };
  const verdict = unkillable(text);
  const turn = nextTurn(draft.state, 'unkillable', circumstances);
  const id = openIncident(draft, sandbox, verdict, turn);
  take(draft, turn, { id, sandbox, verdict });
  if (turn.step.kind === 'rollback') rollbackByRecovery(draft, text);
  draft.deeds.push(`fence ${unit}`);
  const alarm = unreplaced ? '; there are too many such on this node, so it is not replaced' : '';
  draft.note('fenced', unit, 'BH307', `${text}: fenced off${alarm}`, { class: 'unkillable', incident: id });
}

/** One of the side that is not live: no step of the plugin's recovery is an answer to that. */
function fenceBeside(draft: Draft, sandbox: SandboxEntry, unasked: boolean, text: string): void {
  const verdict = unkillable(text);
  const incident = openIncident(draft, sandbox, verdict, ANSWER_BESIDE);
  draft.deeds.push(`fence ${sandbox.unit}`);
  draft.note('fenced', sandbox.unit, 'BH307', `${text}: fenced off`, { class: 'unkillable', incident });
  if (unasked) failedBeside(draft, sandbox, verdict);
}

/** The kernel has let go of it. */
export function unfence(draft: Draft, { unit }: SandboxEntry): void {
  draft.note('fenced', unit, undefined, 'the kernel has let go of it');
}

/** Those that may be replaced no more are not counted: they take the place of another one. */
export function replacedUnkillable({ sandboxes }: PluginState): number {
  return [...sandboxes.values()].filter(({ life, unreplaced }) => life === 'fenced' && !unreplaced).length;
}

function unkillable(text: string): Verdict {
  return { class: 'unkillable', kind: undefined, confidence: 1, text, evidence: [], excuses: [], traceIds: [] };
}
