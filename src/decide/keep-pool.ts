import { firstGate } from '../plan/gate.ts';
import { sandboxUnitName } from '../plan/identity.ts';
import type { PluginPlan } from '../plan/plan.ts';
import { recentDeaths } from './backoff.ts';
import type { Draft } from './draft.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { inLife, inTraffic, NEW_SANDBOX, readyOnes, serving, standbys } from './plugin-state.ts';
import { isCurrent, nextReset, poolDifference } from './pool.ts';
import { quarantine } from './quarantine.ts';
import { heal } from './recover.ts';
import { directTraffic, freeSeat } from './seats.ts';
import { hasOtherHope, livePlan } from './sides.ts';

/** How often (ms) it is looked whether there is room again to replace what cannot be killed. */
const ROOM_LOOK_MS = 10_000;

/** Keeps the pool whole: promotes, starts, stops, heals, and says who gets connections. */
export function keepPool(draft: Draft): void {
  forgetOldFailures(draft);
  heal(draft);
  if (draft.state.phase !== 'on') return;
  replaceUnkillable(draft);
  const plan = livePlan(draft.state);
  if (plan === undefined) return;
  setLimits(draft, plan);
  promote(draft, plan);
  fill(draft, plan);
  if (draft.state.phase !== 'on') return;
  directTraffic(draft, draft.state);
  if (inTraffic(draft.state).length >= plan.size) draft.set({ wasReady: true });
}

function setLimits(draft: Draft, plan: PluginPlan): void {
  for (const sandbox of poolDifference(draft.state, plan).otherLimits) {
    draft.put({ ...sandbox, limiting: plan.limitsDigest });
    draft.order({ kind: 'limit', unit: sandbox.unit });
  }
}

/**
 * Standbys take the places that are free: no back-off holds them back, since nothing has to be started for it. Their gates
 * are opened as those of all who are fit for it.
 */
function promote(draft: Draft, plan: PluginPlan): void {
  let takesOver = false;
  for (let { missing } = poolDifference(draft.state, plan); missing > 0; missing--) {
    const seat = freeSeat(draft.state, plan.size);
    const next = candidate(draft.state, plan);
    if (next === undefined || draft.state.restarts.includes(seat)) break;
    takeSeat(draft, next, seat);
    takesOver ||= next.life === 'ready';
  }
  // Those that have the places start yet, and nobody serves: one that is ready does not look on.
  if (takesOver || readyOnes(draft.state).length > 0 || draft.state.restarts.length > 0) return;
  const ready = standbys(draft.state).find(({ life, verdict }) => life === 'ready' && verdict === undefined);
  if (ready !== undefined) takeSeat(draft, ready, freeSeat(draft.state, plan.size));
}

function takeSeat(draft: Draft, next: SandboxEntry, seat: number): void {
  draft.put({ ...next, standby: false, seat });
  draft.deeds.push(`promote ${next.unit}`);
  draft.note('promoted', next.unit, undefined, 'promoted from standby');
}

/** The standby that is promoted next. For a place that is only to be renewed it has to be as planned, and ready. */
function candidate(state: PluginState, plan: PluginPlan): SandboxEntry | undefined {
  const spares = standbys(state).filter(({ verdict }) => verdict === undefined);
  const ready = spares.filter(({ life, readiness }) => life === 'ready' && readiness !== false);
  const best = ready.find((sandbox) => isCurrent(sandbox, plan));
  if (best !== undefined || serving(state).length >= plan.size) return best;
  return ready[0] ?? spares.find(({ life }) => life === 'ready') ?? spares[0];
}

function fill(draft: Draft, plan: PluginPlan): void {
  const { now } = draft.moment;
  const { missing, spares, surplus } = poolDifference(draft.state, plan);
  const starts = missing + spares;
  if (starts > 0 && !mayStart(draft, plan.declaration.recovery.budget)) return;
  const waits = starts > 0 && now < draft.state.notBefore;
  if (!waits) {
    for (let n = 0; n < missing; n++) start(draft, draft.state);
    for (let n = 0; n < spares; n++) start(draft, draft.state, { standby: true });
  }
  for (const sandbox of surplus) {
    // One that gives no sign of life any more would take connections and answer none for as long as a stop may take.
    if (sandbox.verdict?.kind === 'liveness') draft.kill(sandbox, { doomed: true });
    else draft.stop(sandbox);
  }
  const next = waits ? draft.state.notBefore : nextReset(draft.state, now);
  if (next !== undefined) draft.wakeBy(next);
}

/** Within the budget; else the plugin fails, unless something of it still serves. */
function mayStart(draft: Draft, budget: { readonly restarts: number; readonly withinMs: number }): boolean {
  const { state, moment } = draft;
  const recent = recentDeaths(state.deaths, moment.now, budget.withinMs);
  if (recent.length <= budget.restarts) return true;
  const { code, text: last } = state.reason ?? { code: 'BH304', text: 'unknown' };
  if (serving(state).length === 0 && !hasOtherHope(state)) {
    const seconds = Math.round(budget.withinMs / 1000);
    const ends = recent.length === 1 ? 'death' : 'deaths';
    // What the last one died of says more than that there were too many.
    quarantine(draft, { code, text: `${recent.length} ${ends} within ${seconds} s; the last: ${last}` });
    return false;
  }
  // What still serves is worth more than a clean failure: wait until the budget has room again.
  if (readyOnes(state).length > 0) draft.set({ wasReady: true });
  const oldest = recent[0] ?? moment.now;
  draft.wakeBy(oldest + budget.withinMs);
  return false;
}

/** @param side for which it is started: of the draft's state, or that itself. */
export function start(draft: Draft, side: PluginState, { learning = false, standby = false } = {}): void {
  const { plugin, slot, nextGeneration: generation, plan } = side;
  if (plan === undefined) return;
  const unit = sandboxUnitName(plugin, slot, generation, plan.declaration.isolation);
  const { digest, limitsDigest: limits } = plan;
  const seat = learning || standby ? -1 : freeSeat(side, plan.size);
  const isLive = slot === draft.state.slot;
  draft.put({
    unit,
    slot,
    generation,
    digest,
    limits,
    learning,
    life: 'starting',
    readyAt: undefined,
    ...NEW_SANDBOX,
    standby,
    seat,
    gate: learning ? undefined : firstGate(plan.declaration, standby),
  });
  const { wasReady, deaths, restarts, restartsTotal } = draft.state;
  const again = isLive && !learning && (wasReady || deaths.length > 0) ? 1 : 0;
  draft.set({
    nextGeneration: generation + 1,
    restartsTotal: restartsTotal + again,
    restarts: isLive ? restarts.filter((other) => other !== seat) : restarts,
  });
  const what = `${standby ? 'starting a standby' : 'starting'}${plan.version === undefined ? '' : ` ${plan.version}`}`;
  draft.deeds.push(`start ${unit}${standby ? ' as a standby' : ''}`);
  draft.note('starting', unit, undefined, what);
  draft.order({ kind: 'start', unit, slot, generation, learning, standby, seat });
}

/** Sustained health of the whole pool clears back-off, chains and the last reason. */
function forgetOldFailures(draft: Draft): void {
  const { reason, deathsInRow, chains } = draft.state;
  const plan = livePlan(draft.state);
  if (plan === undefined) return;
  const resetMs = plan.declaration.recovery.backoff.resetMs;
  const ready = readyOnes(draft.state);
  const whole = ready.length >= plan.size;
  if (whole && reason !== undefined && inTraffic(draft.state).length >= plan.size) draft.set({ reason: undefined });
  const sustained = ready.every(({ readyAt }) => readyAt !== undefined && draft.moment.now - readyAt >= resetMs);
  if (whole && sustained && (deathsInRow > 0 || chains.length > 0)) draft.set({ deathsInRow: 0, chains: [] });
}

/** What could not be replaced for want of room is, once the kernel has let go of others. */
function replaceUnkillable(draft: Draft): void {
  const held = inLife(draft.state, 'fenced').filter(({ unreplaced }) => unreplaced);
  const room = draft.moment.unkillableRoom;
  for (const sandbox of held.slice(0, room)) draft.put({ ...sandbox, unreplaced: false });
  if (held.length > room) draft.wakeBy(draft.moment.now + ROOM_LOOK_MS);
}
