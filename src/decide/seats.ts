import type { PluginPlan } from '../plan/plan.ts';
import type { Draft } from './draft.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { readyOnes, serving } from './plugin-state.ts';
import { GOOD_SCORE, SCORE_WINDOW_MS, scoreOf } from './score.ts';

/** The seat for one more sandbox: the first that nobody has, else that of the one which it is to replace. */
export function freeSeat(state: PluginState, size: number): number {
  const sitting = serving(state);
  const taken = new Set(sitting.map(({ seat }) => seat));
  for (let seat = 0; seat < size; seat++) if (!taken.has(seat)) return seat;
  const leaving = sitting.find(({ renewing, unlimitable, digest }) => {
    return renewing || unlimitable || digest !== state.plan?.digest;
  });
  return leaving?.seat ?? 0;
}

/**
 * Takes out of a side's traffic what is not fit for it, and lets back in what is; one stays in, whatever it looks like.
 *
 * @param side of the draft's state, or that itself.
 */
export function directTraffic(draft: Draft, side: PluginState): void {
  const { plan } = side;
  if (plan === undefined) return;
  const { now } = draft.moment;
  const ready = readyOnes(side);
  const gated = ready.filter(({ gate }) => gate !== undefined);
  if (gated.length === 0) return;
  const fit = new Set(gated.filter((sandbox) => isFit(side, sandbox, plan, now)));
  const othersServe = ready.some(({ gate }) => gate === undefined);
  if (fit.size === 0 && !othersServe) {
    const best = leastBad(side, gated, plan, now);
    if (best !== undefined) fit.add(best);
  }
  for (const sandbox of gated) {
    if (fit.has(sandbox) === (sandbox.gate === 'open')) continue;
    const lets = fit.has(sandbox);
    // It is out of traffic anyway, or never was in it.
    if (!lets && sandbox.gate !== 'open') continue;
    draft.gate(sandbox, lets ? 'open' : 'shut');
    if (!lets) draft.note('traffic', sandbox.unit, undefined, whyNot(side, sandbox, plan, now));
    else if (sandbox.gate === 'shut') draft.note('traffic', sandbox.unit, undefined, 'in traffic again');
  }
  const oldest = side.crashes[0];
  const isOut = ready.some(({ unit }) => isShut(draft.state.sandboxes.get(unit)));
  if (oldest !== undefined && isOut) draft.wakeBy(Math.max(now + 1, oldest.at + SCORE_WINDOW_MS));
}

function isShut(sandbox: SandboxEntry | undefined): boolean {
  return sandbox?.gate !== undefined && sandbox.gate !== 'open';
}

function isFit(side: PluginState, { seat, readiness }: SandboxEntry, plan: PluginPlan, now: number): boolean {
  const isAsked = plan.declaration.health.readiness !== undefined;
  return (!isAsked || readiness === true) && scoreOf(side, seat, now) >= GOOD_SCORE;
}

/**
 * Who passes its probe, then who has the best score, then who is in yet. One that never passed its probe, and so never
 * was in traffic, is no candidate: it may not have begun to serve.
 */
function leastBad(
  side: PluginState,
  gated: readonly SandboxEntry[],
  plan: PluginPlan,
  now: number,
): SandboxEntry | undefined {
  const rank = ({ seat, readiness, gate }: SandboxEntry): number =>
    (readiness === true ? 1000 : 0) + scoreOf(side, seat, now) + (gate === 'open' ? 1 : 0);
  const isAsked = plan.declaration.health.readiness !== undefined;
  const known = gated.filter(({ gate, readiness }) => gate !== 'held' || readiness === true || !isAsked);
  return [...known].sort((one, other) => rank(other) - rank(one))[0];
}

function whyNot(side: PluginState, { seat, readiness }: SandboxEntry, plan: PluginPlan, now: number): string {
  const score = scoreOf(side, seat, now);
  if (plan.declaration.health.readiness !== undefined && readiness !== true)
    return 'out of traffic: its readiness probe does not pass';
  return `out of traffic: its seat has a health score of ${score}`;
}
