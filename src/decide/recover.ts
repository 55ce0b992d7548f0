import { formatDuration } from '../base/duration.ts';
import type { FailureClass } from '../base/failure-class.ts';
import { printable } from '../base/printable.ts';
import type { RunStep, Step } from '../declare/recovery.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import { backoffDelay, recentDeaths } from './backoff.ts';
import { nextTurn, type Turn, withTurn } from './chain.ts';
import type { Draft } from './draft.ts';
import { openIncident } from './incidents.ts';
import type { Reason } from './observation.ts';
import type { SandboxEntry } from './plugin-state.ts';
import { inLife, inTraffic, isWhole, living, standbys } from './plugin-state.ts';
import { quarantine } from './quarantine.ts';
import { raisePlan } from './raise.ts';
import { recentCrashes } from './score.ts';
import { hasOtherHope } from './sides.ts';
import { canGoBack, rollbackByRecovery } from './upgrade-ask.ts';

/** What is ill in one of these ways does not serve anyway, so that nothing is lost with it. */
const SERVES_NO_MORE: readonly FailureClass[] = ['hang', 'deadlock', 'spin', 'unresponsive', 'not-ready'];
export function servesNoMore(verdict: Verdict): boolean {
  return SERVES_NO_MORE.includes(verdict.class);
}

/** What a recovery is waited for beside the time limits of a start and a stop (ms). */
const HEALING_SLACK_MS = 5000;
/** How often it is looked whether risky steps are allowed by now (ms). */
const RISKY_LOOK_MS = 60_000;

/**
 * A sandbox ended that nobody had asked to: the next step of the chain, once for all that one misfortune has killed. Returns
 * the id of its incident.
 */
export function recoverFromDeath(draft: Draft, sandbox: SandboxEntry, verdict: Verdict, reason: Reason): string {
  const isNew = countFailure(draft, sandbox, reason);
  const turn = turnFor(draft, verdict.class);
  const id = openIncident(draft, sandbox, verdict, turn);
  if (!isNew) return id;
  take(draft, turn, { id, sandbox, verdict });
  perform(draft, turn.step, sandbox, reason);
  return id;
}

/**
 * Recovers those that live and are ill, one at a time: one healer that ends what lives is enough, and when all are ill
 * for the same reason the next one would only make it worse.
 */
export function heal(draft: Draft): void {
  if (isHealing(draft)) return;
  for (const { unit } of living(draft.state)) {
    const sandbox = draft.state.sandboxes.get(unit);
    if (sandbox?.verdict === undefined || sandbox.renewing || sandbox.learning) continue;
    if (sandbox.slot !== draft.state.slot) continue;
    treat(draft, sandbox, sandbox.verdict);
    if (draft.state.phase !== 'on' || draft.state.healing !== undefined) return;
  }
}

/** Whether the recovery before is still under way: it is over when the pool is whole again, or its time is. */
function isHealing(draft: Draft): boolean {
  const { healing } = draft.state;
  if (healing === undefined) return false;
  const patient = draft.state.sandboxes.get(healing.unit);
  const isThere = patient !== undefined && living(draft.state).includes(patient);
  if ((isThere || !isWhole(draft.state)) && draft.moment.now < healing.until) {
    draft.wakeBy(healing.until);
    return true;
  }
  draft.set({ healing: undefined });
  return false;
}

function treat(draft: Draft, sandbox: SandboxEntry, verdict: Verdict): void {
  const { now } = draft.moment;
  const turn = turnFor(draft, verdict.class);
  const due = turn.waits ? now + RISKY_LOOK_MS : sandbox.illSince + turn.step.delayMs;
  if (now < due) return draft.wakeBy(due);
  const id = openIncident(draft, sandbox, verdict, turn);
  take(draft, turn, { id, sandbox, verdict });
  const reason: Reason = { code: 'BH314', text: `sandbox '${sandbox.unit}': ${verdict.class}: ${verdict.text}` };
  const { kind } = turn.step;
  draft.note('recovering', sandbox.unit, reason.code, `${verdict.class}: ${verdict.text}; ${kind}`, {
    class: verdict.class,
    incident: id,
  });
  if (kind === 'run' || kind === 'notify' || kind === 'quarantine' || kind === 'raise') {
    // What it was ill of is answered; when it goes on, it is told of again.
    draft.put({ ...sandbox, verdict: undefined });
    return perform(draft, turn.step, sandbox, reason);
  }
  if (kind === 'rollback') rollbackByRecovery(draft, reason.text);
  const { startTimeoutMs = 0 } = draft.state.plan?.declaration.health ?? {};
  const stopMs = draft.state.plan?.declaration.stop.timeoutMs ?? 0;
  draft.set({ healing: { unit: sandbox.unit, until: now + startTimeoutMs + stopMs + HEALING_SLACK_MS } });
  if (kind === 'recycle' || !mayEnd(draft, sandbox, verdict)) return renew(draft, sandbox);
  countFailure(draft, sandbox, reason);
  perform(draft, { ...turn.step, delayMs: 0 }, sandbox, reason);
  const keeps = kind === 'freeze' && inLife(draft.state, 'frozen').length === 0;
  if (!keeps) {
    draft.deeds.push(`kill ${sandbox.unit}`);
    return draft.kill(sandbox, { doomed: true });
  }
  draft.deeds.push(`freeze ${sandbox.unit}`);
  draft.change(sandbox.unit, 'frozen', { doomed: true });
  draft.order({ kind: 'freeze', unit: sandbox.unit });
}

/** Another one is started first, and then it is asked to stop: `poolDifference` sees to that. */
export function renew(draft: Draft, sandbox: SandboxEntry): void {
  draft.put({ ...sandbox, renewing: true });
  draft.deeds.push(`replace ${sandbox.unit}, the new one first`);
}

/** Whether it can be ended now: it does not serve, or others do, or will at once. */
function mayEnd({ state }: Draft, sandbox: SandboxEntry, verdict: Verdict): boolean {
  if (servesNoMore(verdict)) return true;
  const serves = inTraffic(state);
  if (!serves.includes(sandbox) || serves.length > 1) return true;
  return standbys(state).some(({ life, verdict: ill }) => life === 'ready' && ill === undefined);
}

/** What a step comes to beside the sandbox itself, which is dead or about to be: the pool is kept whole anyway. */
function perform(draft: Draft, step: Step, sandbox: SandboxEntry, reason: Reason): void {
  const { now } = draft.moment;
  if (step.kind === 'quarantine') return hasOtherHope(draft.state) ? undefined : quarantine(draft, reason);
  if (step.kind === 'rollback') rollbackByRecovery(draft, reason.text);
  if (step.kind === 'raise') raise(draft, step);
  if (step.kind === 'restart' && sandbox.seat >= 0) {
    draft.set({ restarts: [...draft.state.restarts.filter((seat) => seat !== sandbox.seat), sandbox.seat] });
  }
  if (step.delayMs > 0) draft.set({ notBefore: Math.max(draft.state.notBefore, now + step.delayMs) });
}

function raise(draft: Draft, step: Extract<Step, { kind: 'raise' }>): void {
  const { plan } = draft.state;
  const raised = plan === undefined ? undefined : raisePlan(plan, step);
  if (raised === undefined) {
    draft.deeds.push(`${step.limit} is as high as it may be`);
    return;
  }
  draft.set({ plan: raised.plan });
  draft.deeds.push(`raise ${raised.text}`);
  draft.note('recovering', undefined, undefined, `limit raised: ${raised.text}`);
  // The slice's limits follow from the plan, too.
  draft.order({ kind: 'listen' });
}

function turnFor({ state, moment }: Draft, of: FailureClass): Turn {
  const budget = state.plan?.declaration.recovery.budget;
  const budgetUsed =
    budget !== undefined && recentDeaths(state.deaths, moment.now, budget.withinMs).length > budget.restarts;
  return nextTurn(state, of, { riskyAllowed: moment.riskyAllowed, budgetUsed, canGoBack: canGoBack(state) });
}

interface Failed {
  readonly id: string;
  readonly sandbox: SandboxEntry | undefined;
  readonly verdict: Verdict;
}

/** The chain goes on to this step; what only tells is told. */
export function take(draft: Draft, turn: Turn, failed: Failed): void {
  draft.set({ chains: withTurn(draft.state, turn), ...(turn.pastBudget ? { deaths: [draft.moment.now] } : {}) });
  for (const step of [...turn.asides, turn.step]) {
    if (step.kind === 'notify') draft.deeds.push('notify');
    if (step.kind === 'run') run(draft, step, failed);
  }
}

function run(draft: Draft, { words, timeoutMs }: RunStep, { id, sandbox, verdict }: Failed): void {
  const environment = {
    BULKHEAD_PLUGIN: draft.state.plugin,
    BULKHEAD_UNIT: sandbox?.unit ?? '',
    BULKHEAD_INCIDENT: id,
    BULKHEAD_CLASS: verdict.class,
    // What a payload chose is in them, and a command of root's gets them.
    BULKHEAD_KIND: printable(verdict.kind ?? ''),
    BULKHEAD_TEXT: printable(verdict.text),
  };
  const order = { incident: id, words, timeoutMs, environment };
  draft.set({ running: [...draft.state.running.slice(-7), order] });
  draft.order({ kind: 'run', ...order });
  draft.deeds.push(`run ${words[0] ?? ''}`);
}

/** Counts a failure that nobody asked for, and sets the back-off. False when it belongs to the round before. */
export function countFailure(draft: Draft, sandbox: SandboxEntry, reason: Reason): boolean {
  const settings = draft.state.plan?.declaration.recovery;
  if (settings === undefined) return false;
  const { now, random } = draft.moment;
  if (sandbox.seat >= 0 && !sandbox.standby) {
    draft.set({ crashes: [...recentCrashes(draft.state.crashes, now), { seat: sandbox.seat, at: now }] });
  }
  const wasHealthy = sandbox.readyAt !== undefined && now - sandbox.readyAt >= settings.backoff.resetMs;
  if (!wasHealthy && sandbox.generation < draft.state.roundBegan) {
    draft.set({ reason });
    return false;
  }
  const deathsInRow = wasHealthy ? 1 : draft.state.deathsInRow + 1;
  const deaths = [...recentDeaths(draft.state.deaths, now, settings.budget.withinMs), now];
  const delay = backoffDelay(settings.backoff, deathsInRow, random);
  const notBefore = Math.max(draft.state.notBefore, now + delay);
  draft.set({ deathsInRow, deaths, reason, notBefore, roundBegan: draft.state.nextGeneration });
  if (delay > 0 && draft.state.phase === 'on') {
    draft.note('backing-off', undefined, undefined, `next start in ${delay} ms`);
    draft.deeds.push(`next start in ${formatDuration(delay)}`);
  }
  return true;
}
