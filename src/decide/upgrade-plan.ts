import { canarySteps } from '../declare/upgrade.ts';
import type { PluginPlan } from '../plan/plan.ts';
import type { Draft } from './draft.ts';
import type { Observation, Reason } from './observation.ts';
import type { WantedVersion } from './order.ts';
import { inTraffic } from './plugin-state.ts';
import { ladderOf, mostSandboxes, otherSlot } from './sides.ts';
import type { Upgrade } from './upgrade.ts';
import { enter, insist, noAnswer } from './upgrade-course.ts';
import { isSame, refuse } from './upgrade-end.ts';
import { nextRung } from './upgrade-ladder.ts';
import { wayOf } from './upgrade-line.ts';

const PLAN_MS = 60_000;
/** A version of many files is read as a whole for its digest. */
const DIGEST_MS = 600_000;
const LISTEN_MS = 60_000;

/** What is to run is found out; of a rollback it is mostly known. */
export function planning(draft: Draft, upgrade: Upgrade): void {
  const { previous, declared } = draft.state;
  if (upgrade.kind === 'rollback' && previous !== undefined) return adopt(draft, { ...upgrade, declared }, previous);
  const version = wanted(upgrade);
  const isAsked = insist(draft, [{ kind: 'plan-version', id: upgrade.id, version }], PLAN_MS, 1);
  if (!isAsked) refuse(draft, noAnswer('reading the declaration', PLAN_MS));
}

function wanted({ kind, to }: Upgrade): WantedVersion {
  if (kind === 'rollback') return 'previous';
  return kind === 'reload' || to === undefined ? 'declared' : { named: to };
}

/** What is asked for is known, and may be tried. */
export function planned(draft: Draft, { id, plan, declared }: Extract<Observation, { kind: 'upgrade-planned' }>): void {
  const { upgrade } = draft.state;
  if (upgrade?.id !== id || upgrade.step !== 'planning') return;
  draft.set({ declared });
  adopt(draft, { ...upgrade, declared }, plan);
}

function adopt(draft: Draft, upgrade: Upgrade, plan: PluginPlan): void {
  const { kind, options } = upgrade;
  const { plan: live, slot } = draft.state;
  if (live === undefined) return;
  const settings = plan.declaration.upgrade;
  const isSwitch = settings.way === 'in-place' && live.declaration.upgrade.way === 'in-place';
  const way = isSwitch && plan.digest === live.digest ? 'in-place' : 'beside';
  const isBack = kind === 'rollback';
  const stages = isBack ? [100] : canarySteps({ canary: options.canary ?? settings.canary });
  const known = { ...upgrade, plan, to: plan.version, way, slot: way === 'beside' ? otherSlot(slot) : slot } as const;
  draft.set({ upgrade: known });
  if (isSame(plan, live)) {
    // What can be changed on what runs is; there is nothing else.
    if (kind === 'reload') {
      draft.set({ plan });
      draft.order({ kind: 'listen' });
    }
    return refuse(draft, { code: 'BH426', text: `${plan.version ?? 'the declaration'} is what runs` });
  }
  const failed = failedBefore(draft, known, plan);
  if (failed !== undefined) return refuse(draft, failed);
  // Nothing serves that the new side could be worse than.
  const isDown = inTraffic(draft.state).length === 0;
  enter(draft, 'verifying', {
    stages: isDown || way === 'in-place' ? [100] : stages,
    bakeMs: isBack ? 0 : (options.bakeMs ?? settings.bakeMs),
  });
}

function failedBefore({ state }: Draft, { kind, options }: Upgrade, plan: PluginPlan): Reason | undefined {
  if (kind === 'rollback' || options.force === true) return undefined;
  const failed = state.failedPlans.find((other) => isSame(other, plan));
  if (failed === undefined) return undefined;
  return {
    code: 'BH428',
    text: `${failed.version ?? 'it'} failed before: ${failed.reason.code} ${failed.reason.text}`,
  };
}

/** The version is what was installed, the declared check agrees, and there is room for a second side. */
export function verifying(draft: Draft, upgrade: Upgrade): void {
  const { id, kind, plan, to } = upgrade;
  const { plan: from } = draft.state;
  if (plan === undefined || from === undefined) return;
  const surge = upgrade.way === 'in-place' ? 0 : Math.min(plan.size, mostSandboxes(draft.state) - from.size);
  const limitMs = plan.declaration.upgrade.checkTimeoutMs + DIGEST_MS;
  const isAsked = insist(
    draft,
    [
      { kind: 'begin-upgrade', id, version: to },
      { kind: 'verify', id, upgrade: kind, plan, from, surge, force: upgrade.options.force === true },
    ],
    limitMs,
    1,
  );
  if (!isAsked) refuse(draft, noAnswer('verifying the version', limitMs));
}

export function verified(draft: Draft, { id, noWayBack }: Extract<Observation, { kind: 'verified' }>): void {
  const { upgrade } = draft.state;
  if (upgrade?.id !== id || upgrade.step !== 'verifying') return;
  if (noWayBack !== undefined) {
    const text = `${wayOf(upgrade)}: there will be no way back: ${noWayBack.text}`;
    draft.note('upgrading', undefined, noWayBack.code, text, { upgrade: id });
  }
  enter(draft, upgrade.way === 'in-place' ? 'switching' : 'preparing', { noWayBack });
}

/** Sockets and limits of the slice are made so that both sides can be. */
export function preparing(draft: Draft, { id }: Upgrade): void {
  const isAsked = insist(draft, [{ kind: 'listen', upgrade: id }], LISTEN_MS, 1);
  if (!isAsked) refuse(draft, noAnswer('making its sockets', LISTEN_MS));
}

export function prepared(draft: Draft, id: string): void {
  const { upgrade, plan } = draft.state;
  if (upgrade?.id !== id || upgrade.step !== 'preparing') return;
  const rung = nextRung(ladderOf(plan, upgrade.plan), 0, upgrade.stages[0] ?? 100);
  enter(draft, 'starting', { rung, rungSince: draft.moment.now });
}

/** It is refused in one of the steps in which nothing is started yet. */
export function refused(draft: Draft, id: string, step: Upgrade['step'], reason: Reason): void {
  const { upgrade } = draft.state;
  if (upgrade?.id === id && upgrade.step === step) refuse(draft, reason);
}
