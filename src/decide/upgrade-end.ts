import { formatDuration } from '../base/duration.ts';
import type { Draft } from './draft.ts';
import { closeIncident } from './incidents.ts';
import type { Reason } from './observation.ts';
import type { LiveVersion } from './order.ts';
import { beside, leftBeside, stopTimeout } from './sides.ts';
import type { FailedPlan, Upgrade, UpgradeOutcome } from './upgrade.ts';
import { enter, insist, setUpgrade, weighing } from './upgrade-course.ts';
import { wayOf } from './upgrade-line.ts';

/**
 * So long (ms) a side without traffic goes on to accept: connections whose handshake was under way when the weights
 * changed are still its.
 */
const LINGER_MS = 1000;
const WEIGH_MS = 5000;
const WEIGH_TIMES = 5;
/** So many plans that failed are remembered. */
const MOST_FAILED = 20;

/** The old side has all of the traffic again, and what was begun is ended. */
export function undo(draft: Draft, reason: Reason, incident?: string): void {
  const { upgrade } = draft.state;
  if (upgrade === undefined || upgrade.undo !== undefined) return;
  const { step, weight, to, kind } = upgrade;
  if (step === 'planning' || step === 'verifying' || step === 'preparing') return refuse(draft, reason);
  draft.deeds.push(`undo ${kind === 'reload' ? 'the new declaration' : `${kind} to ${to ?? 'no version'}`}`);
  enter(draft, 'undoing', {
    undo: reason,
    incident: upgrade.incident ?? incident,
    weight: 0,
    weighed: weight === 0,
    // It never had traffic.
    stageSince: weight === 0 ? draft.moment.now - LINGER_MS : undefined,
    ending: false,
  });
  // Whether it was done is not known: this one comes after it.
  if (step === 'committing') recordLive(draft, liveNow(draft, upgrade));
}

/** One step of what follows the traffic: the side that is not live accepts for a moment yet, and then ends what it has. */
export function endBeside(draft: Draft): boolean {
  if (draft.state.upgrade?.weighed === false && insist(draft, [weighing(draft.state)], WEIGH_MS, WEIGH_TIMES))
    return false;
  const { now } = draft.moment;
  const { stageSince = now - LINGER_MS, ending } = draft.state.upgrade ?? { ending: true };
  if (now < stageSince + LINGER_MS) {
    draft.wakeBy(stageSince + LINGER_MS);
    return false;
  }
  if (!ending) setUpgrade(draft, { ending: true });
  stopBeside(draft);
  return leftBeside(draft.state).length === 0;
}

export function stopBeside(draft: Draft): void {
  for (const sandbox of beside(draft.state)) draft.stop(sandbox, stopTimeout(draft.state, sandbox.slot));
}

/** Both what is undone and what was promoted end here, once nothing is left of the other side. */
export function over(draft: Draft): void {
  const { upgrade, slot, reloading } = draft.state;
  if (upgrade === undefined) return;
  const { id, undo: reason, incident, since } = upgrade;
  if (reason !== undefined) {
    fail(draft, upgrade, reason);
    noteOutcome(draft, upgrade, 'rolled-back', reason, liveNow(draft, upgrade));
    draft.note('rolled-back', undefined, reason.code, `${wayOf(upgrade)} was undone: ${reason.text}`, {
      upgrade: id,
      incident,
    });
    if (incident !== undefined)
      closeIncident(draft, incident, slot, 'undone: what was live before has all of the traffic');
  } else {
    const took = formatDuration(Math.round(draft.moment.now - since));
    draft.note('upgraded', undefined, undefined, `${wayOf(upgrade)} is over after ${took}`, { upgrade: id });
  }
  const { lastUpgrade, previous } = draft.state;
  // What somebody went back from is nothing to go back to.
  draft.set({
    upgrade: undefined,
    previous: upgrade.kind === 'rollback' && reason === undefined ? undefined : previous,
  });
  if (lastUpgrade?.live !== undefined) recordLive(draft, lastUpgrade.live);
  // Sockets and limits that only the other side needed.
  draft.order({ kind: 'listen' });
  if (reloading) draft.order({ kind: 'load' });
}

/** Nothing was started. */
export function refuse(draft: Draft, reason: Reason): void {
  const { upgrade, reloading } = draft.state;
  if (upgrade === undefined) return;
  const { id, step, kind } = upgrade;
  const live = step === 'planning' ? undefined : liveNow(draft, upgrade);
  noteOutcome(draft, upgrade, 'refused', reason, live);
  draft.note('upgrade-refused', undefined, reason.code, `${wayOf(upgrade)}: ${reason.text}`, { upgrade: id });
  // That nothing is to be done about the declaration is no refusal of it.
  const isRefused = kind === 'reload' && reason.code !== 'BH426';
  draft.set({ upgrade: undefined, ...(isRefused ? { refused: reason } : {}) });
  if (live !== undefined) recordLive(draft, live);
  if (step === 'preparing') draft.order({ kind: 'listen' });
  if (reloading) draft.order({ kind: 'load' });
}

/** The plugin is stopped, or failed: both sides end. What was committed stays so. */
export function abort(draft: Draft, reason: Reason): void {
  const { upgrade } = draft.state;
  if (upgrade === undefined) return;
  const { id, step, way, from, kind } = upgrade;
  if (step === 'draining') {
    draft.set({ upgrade: undefined, ...(kind === 'rollback' ? { previous: undefined } : {}) });
  } else {
    const live = step === 'planning' ? undefined : liveNow(draft, upgrade);
    if (upgrade.undo !== undefined) fail(draft, upgrade, upgrade.undo);
    noteOutcome(draft, upgrade, upgrade.undo === undefined ? 'aborted' : 'rolled-back', upgrade.undo ?? reason, live);
    draft.note('upgrade-aborted', undefined, reason.code, `${wayOf(upgrade)}: ${reason.text}`, { upgrade: id });
    draft.set({ upgrade: undefined });
    if (way === 'in-place' && isSwitched(upgrade))
      draft.order({ kind: 'switch', id, slot: draft.state.slot, version: from });
  }
  draft.order(weighing(draft.state));
  const { lastUpgrade } = draft.state;
  if (lastUpgrade?.live !== undefined) recordLive(draft, lastUpgrade.live);
}

function isSwitched({ step }: Upgrade): boolean {
  return step === 'switching' || step === 'baking' || step === 'committing' || step === 'undoing';
}

export function noteOutcome(
  draft: Draft,
  { id, kind, by, why, from, to, incident, signals }: Upgrade,
  outcome: UpgradeOutcome['outcome'],
  reason: Reason | undefined,
  live: LiveVersion | undefined,
): void {
  const judgement = signals?.judgement.verdict === 'bad' ? signals.judgement : undefined;
  const at = draft.moment.wall;
  draft.set({ lastUpgrade: { id, kind, by, why, from, to, outcome, reason, incident, judgement, at, live } });
}

/** What did not prove itself is not tried again by itself, whatever the declaration says. */
function fail(draft: Draft, { plan, incident, kind, to }: Upgrade, reason: Reason): void {
  // That there was no way back is no fault of what was live before.
  if (plan === undefined || kind === 'rollback') return;
  const failed: FailedPlan = { digest: plan.digest, version: to, at: draft.moment.wall, reason, incident };
  const others = draft.state.failedPlans.filter((other) => !isSame(other, plan));
  draft.set({ failedPlans: [...others, failed].slice(-MOST_FAILED) });
  if (kind === 'reload') draft.set({ refused: reason });
}

/** Versions that differ in nothing but their files have one digest when they change in place. */
export function isSame(
  one: { readonly digest: string; readonly version: string | undefined },
  other: { readonly digest: string; readonly version: string | undefined },
): boolean {
  return one.digest === other.digest && one.version === other.version;
}

/** What is live, as long as the declaration names what it does. */
function liveNow({ state: { plan, previous } }: Draft, { declared }: Upgrade): LiveVersion {
  return { version: plan?.version, previous: previous?.version, declared };
}

/** The record is as it has to be: whoever changes it from now on means that. */
export function ended(draft: Draft): void {
  const { upgrade, lastUpgrade } = draft.state;
  if (upgrade === undefined && lastUpgrade !== undefined)
    draft.set({ lastUpgrade: { ...lastUpgrade, live: undefined } });
}

export function recordLive(draft: Draft, live: LiveVersion): void {
  draft.order({ kind: 'end-upgrade', failed: draft.state.failedPlans, ...live });
}
