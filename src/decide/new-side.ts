import { formatDuration } from '../base/duration.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import type { PluginPlan } from '../plan/plan.ts';
import type { Turn } from './chain.ts';
import type { Draft } from './draft.ts';
import { openIncident } from './incidents.ts';
import { start } from './keep-pool.ts';
import { ableOnes, living, type PluginState, readyOnes, type SandboxEntry, serving, standbys } from './plugin-state.ts';
import { directTraffic } from './seats.ts';
import { beside, isCommitted, mostSandboxes, otherSide } from './sides.ts';
import type { Upgrade } from './upgrade.ts';
import { setUpgrade } from './upgrade-course.ts';
import { undo } from './upgrade-end.ts';

/** What is told of a failure of the new side: there is one answer to it. */
export const ANSWER_BESIDE: Turn = {
  asides: [],
  step: { kind: 'rollback', delayMs: 0, times: 1, risky: false },
  index: 0,
  of: 1,
  position: { class: 'exit', step: 0, count: 0 },
  pastBudget: false,
  waits: false,
};
/**
 * A program of which nothing says when it accepts, but that it was executed, has so long (ms) for it before connections
 * come: what is longer they wait for, as at every start. One that dies at once does so without any.
 */
const SETTLES_MS = 1000;
/** Another one is started so long (ms) after a failure that is borne. */
const AFTER_DEATH_MS = 100;
/** As many sandboxes start at the same time on a node. */
const AT_ONCE = 8;
const START_SLACK_MS = 60_000;

/** Starts what is missing of the new side, as far as there is room beside the old one; out of the old one's sight. */
export function keepNewSide(draft: Draft, upgrade: Upgrade): void {
  const { plan, rung, notBefore } = upgrade;
  if (plan === undefined) return;
  // Of another plan: what an upgrade before this one left.
  for (const sandbox of beside(draft.state)) if (sandbox.digest !== plan.digest) draft.stop(sandbox);
  const missing = rung.new - serving(otherSide(draft.state)).length;
  if (missing > 0 && draft.moment.now < notBefore) draft.wakeBy(notBefore);
  else
    for (let n = Math.min(missing, roomBeside(draft.state, upgrade)); n > 0; n--) start(draft, otherSide(draft.state));
  directTraffic(draft, otherSide(draft.state));
}

/** What ends has its memory yet; only a rollback does not wait for it. */
function roomBeside(state: PluginState, { kind }: Upgrade): number {
  const isThere = ({ life, learning }: SandboxEntry): boolean =>
    !learning && (life === 'starting' || life === 'ready' || (life === 'stopping' && kind !== 'rollback'));
  const there = [...state.sandboxes.values()].filter(isThere).length;
  return mostSandboxes(state) + standbys(state).length - there;
}

/** Whether the new side is what the next weight needs; undone when it takes too long for that. */
export function isNewSideReady(draft: Draft, upgrade: Upgrade): boolean {
  const { rung, rungSince, plan } = upgrade;
  const side = otherSide(draft.state);
  if (plan === undefined) return false;
  const able = ableOnes(side);
  if (able.length >= rung.new) {
    const settled = Math.max(0, ...able.map(({ readyAt }) => readyAt ?? 0)) + settling(plan);
    if (draft.moment.now < settled) draft.wakeBy(settled);
    return draft.moment.now >= settled;
  }
  const { startTimeoutMs } = plan.declaration.health;
  const { drainMs } = plan.declaration.upgrade;
  const ready = readyOnes(side);
  const youngest = Math.max(0, ...ready.map(({ readyAt }) => readyAt ?? 0));
  const limits = [rungSince + startTimeoutMs * Math.ceil(rung.new / AT_ONCE) + drainMs + START_SLACK_MS];
  if (ready.length >= rung.new) limits.push(youngest + startTimeoutMs);
  const limit = Math.min(...limits);
  if (draft.moment.now < limit) {
    draft.wakeBy(limit);
    return false;
  }
  const text = `${ableOnes(side).length} of ${rung.new} sandboxes of the new side pass after ${formatDuration(startTimeoutMs)}`;
  undo(draft, { code: 'BH320', text: ready.length >= rung.new ? text : `${ready.length} of ${rung.new} are ready` });
  return false;
}

function settling({ declaration: { health } }: PluginPlan): number {
  return health.ready === 'exec' && health.startup === undefined && health.readiness === undefined ? SETTLES_MS : 0;
}

/**
 * A sandbox of the side that is not live failed: that is no failure of the plugin, and may be one of the new version.
 * Returns the id of its incident; one of an old side, which is on its way out, has none.
 */
export function failedBeside(draft: Draft, sandbox: SandboxEntry, verdict: Verdict): string | undefined {
  const { upgrade, slot } = draft.state;
  const isNew = upgrade !== undefined && upgrade.way === 'beside' && sandbox.slot !== slot && !isCommitted(draft.state);
  if (!isNew) return undefined;
  const id = openIncident(draft, sandbox, verdict, ANSWER_BESIDE);
  if (upgrade.undo !== undefined) return id;
  const deaths = upgrade.deaths + 1;
  const most = upgrade.plan?.declaration.upgrade.judge.deaths ?? 0;
  setUpgrade(draft, {
    deaths,
    incident: upgrade.incident ?? id,
    notBefore: draft.moment.now + AFTER_DEATH_MS * 2 ** Math.min(deaths - 1, 8),
  });
  const text = `sandbox '${sandbox.unit}': ${verdict.class}: ${verdict.text}`;
  if (deaths > most) undo(draft, { code: 'BH321', text }, id);
  else draft.deeds.push(`start another one: ${deaths} of ${most} failures are borne`);
  return id;
}

/** One of the new side lives and is ill. */
export function illBeside(draft: Draft, sandbox: SandboxEntry, verdict: Verdict): void {
  const { upgrade } = draft.state;
  if (upgrade === undefined || isCommitted(draft.state) || sandbox.verdict !== undefined) return;
  if (!living(draft.state).some(({ unit }) => unit === sandbox.unit)) return;
  draft.put({ ...sandbox, verdict });
  failedBeside(draft, sandbox, verdict);
  // When it is borne another one takes its place; else the whole side is asked to end, once it has no traffic.
  if (draft.state.upgrade?.undo === undefined) draft.kill(sandbox, { doomed: true });
}
