import type { PluginPlan } from '../plan/plan.ts';
import type { Draft } from './draft.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { inTraffic, readyOnes, serving } from './plugin-state.ts';
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

/** Takes out of traffic what is not fit for it, and lets back in what is; one stays in, whatever it looks like. */
export function directTraffic(draft: Draft): void {
  const { plan } = draft.state;
  if (plan === undefined) return;
  const gated = readyOnes(draft.state).filter(({ gate }) => gate !== undefined);
  if (gated.length === 0) return;
  const fit = new Set(gated.filter((sandbox) => isFit(draft, sandbox, plan)));
  const othersServe = readyOnes(draft.state).some(({ gate }) => gate === undefined);
  if (fit.size === 0 && !othersServe) {
    const best = leastBad(draft, gated, plan);
    if (best !== undefined) fit.add(best);
  }
  for (const sandbox of gated) {
    if (fit.has(sandbox) === (sandbox.gate === 'open')) continue;
    const lets = fit.has(sandbox);
    // It is out of traffic anyway, or never was in it.
    if (!lets && sandbox.gate !== 'open') continue;
    draft.gate(sandbox, lets ? 'open' : 'shut');
    if (!lets) draft.note('traffic', sandbox.unit, undefined, whyNot(draft, sandbox, plan));
    else if (sandbox.gate === 'shut') draft.note('traffic', sandbox.unit, undefined, 'in traffic again');
  }
  const oldest = draft.state.crashes[0];
  if (oldest !== undefined && inTraffic(draft.state).length < readyOnes(draft.state).length)
    draft.wakeBy(Math.max(draft.moment.now + 1, oldest.at + SCORE_WINDOW_MS));
}

function isFit({ state, moment }: Draft, { seat, readiness }: SandboxEntry, plan: PluginPlan): boolean {
  const isAsked = plan.declaration.health.readiness !== undefined;
  return (!isAsked || readiness === true) && scoreOf(state, seat, moment.now) >= GOOD_SCORE;
}

/**
 * Who passes its probe, then who has the best score, then who is in yet. One that never passed its probe, and so never
 * was in traffic, is no candidate: it may not have begun to serve.
 */
function leastBad(
  { state, moment }: Draft,
  gated: readonly SandboxEntry[],
  plan: PluginPlan,
): SandboxEntry | undefined {
  const rank = ({ seat, readiness, gate }: SandboxEntry): number =>
    (readiness === true ? 1000 : 0) + scoreOf(state, seat, moment.now) + (gate === 'open' ? 1 : 0);
  const isAsked = plan.declaration.health.readiness !== undefined;
  const known = gated.filter(({ gate, readiness }) => gate !== 'held' || readiness === true || !isAsked);
  return [...known].sort((one, other) => rank(other) - rank(one))[0];
}

function whyNot({ state, moment }: Draft, { seat, readiness }: SandboxEntry, plan: PluginPlan): string {
  const score = scoreOf(state, seat, moment.now);
  if (plan.declaration.health.readiness !== undefined && readiness !== true)
    return 'out of traffic: its readiness probe does not pass';
  return `out of traffic: its seat has a health score of ${score}`;
}
