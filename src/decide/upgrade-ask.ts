import type { PluginPlan } from '../plan/plan.ts';
import type { Draft } from './draft.ts';
import type { Observation, Reason } from './observation.ts';
import type { PluginState } from './plugin-state.ts';
import { isCommitted, otherSlot } from './sides.ts';
import type { Upgrade, UpgradeKind, UpgradeOptions } from './upgrade.ts';
import { noteOutcome, undo } from './upgrade-end.ts';
import { wayOf } from './upgrade-line.ts';

type Asked<Kind extends Observation['kind']> = Extract<Observation, { kind: Kind }>;

/** Who asked for it, and what for. */
interface Asker {
  readonly by: string;
  readonly why: string | undefined;
}

/** Somebody wants another version, or the declaration as it is now. */
export function upgradeAsked(draft: Draft, { version, by, why, options }: Asked<'upgrade-asked'>): void {
  const kind = version === undefined ? 'reload' : 'upgrade';
  const to = version ?? draft.state.plan?.version;
  begin(draft, { kind, to, plan: undefined, asker: { by, why }, options });
}

/** The declaration, read again, is another one than that of what runs. */
export function upgradeByReload(draft: Draft, next: PluginPlan): void {
  begin(draft, {
    kind: 'reload',
    to: next.version,
    plan: undefined,
    asker: { by: 'reload', why: undefined },
    options: {},
  });
}

/**
 * Back to what was live before, at once: what is under way is undone; what was promoted last is replaced, without a
 * canary.
 */
export function rollbackAsked(draft: Draft, { by, why }: Asked<'rollback-asked'>): void {
  const { upgrade } = draft.state;
  const said = why === undefined ? '' : `: ${why}`;
  if (upgrade !== undefined && !isCommitted(draft.state)) {
    // Back is where it goes already.
    if (upgrade.kind === 'rollback') return;
    return undo(draft, { code: 'BH324', text: `asked for by ${by}${said}` });
  }
  goBack(draft, { by, why });
}

/** A step of the recovery: what was live before may not have what this one fails of. */
export function rollbackByRecovery(draft: Draft, text: string): void {
  if (!canGoBack(draft.state)) return;
  draft.deeds.push(`roll back to ${draft.state.previous?.version ?? 'what was declared before'}`);
  goBack(draft, { by: 'recovery', why: text });
}

/** Whether there is something to go back to, and nothing on its way already. */
export function canGoBack(state: PluginState): boolean {
  const { upgrade, previous } = state;
  if (previous === undefined || state.phase !== 'on') return false;
  return upgrade === undefined || (isCommitted(state) && upgrade.kind !== 'rollback');
}

function goBack(draft: Draft, asker: Asker): void {
  const { upgrade, previous } = draft.state;
  // What was live before goes on, if it has not been asked to end yet; else it starts beside what ends of it.
  if (upgrade !== undefined && isCommitted(draft.state) && upgrade.kind !== 'rollback')
    draft.set({ upgrade: undefined });
  begin(draft, { kind: 'rollback', to: previous?.version, plan: previous, asker, options: {} });
}

interface Beginning {
  readonly kind: UpgradeKind;
  readonly to: string | undefined;
  /** Known already. */
  readonly plan: PluginPlan | undefined;
  readonly asker: Asker;
  readonly options: UpgradeOptions;
}

function begin(draft: Draft, { kind, to, plan, asker, options }: Beginning): void {
  const { plugin, phase, nextUpgrade, slot } = draft.state;
  const { now } = draft.moment;
  const reason = phase === 'on' ? underWay(draft) : notRunning(phase);
  const upgrade: Upgrade = {
    id: `${plugin}-u${nextUpgrade}`,
    kind,
    ...asker,
    way: 'beside',
    from: draft.state.plan?.version,
    to,
    declared: undefined,
    plan: undefined,
    slot: otherSlot(slot),
    step: 'planning',
    stages: [],
    stage: 0,
    bakeMs: 0,
    rung: { old: draft.state.plan?.size ?? 1, new: 0, weight: 0 },
    rungSince: now,
    weight: 0,
    weighed: true,
    since: now,
    stepSince: now,
    stageSince: undefined,
    tries: 0,
    triedAt: 0,
    deaths: 0,
    notBefore: 0,
    undo: undefined,
    incident: undefined,
    ending: false,
    options,
    signals: undefined,
  };
  const text = `${wayOf(upgrade)}: ${kind} asked for by ${asker.by}${asker.why === undefined ? '' : `: ${asker.why}`}`;
  if (reason !== undefined) {
    draft.note('upgrade-refused', undefined, reason.code, `${text}; ${reason.text}`, { upgrade: upgrade.id });
    // What is under way is what people want to know of.
    if (draft.state.upgrade !== undefined) return;
    draft.set({ nextUpgrade: nextUpgrade + 1 });
    return noteOutcome(draft, upgrade, 'refused', reason, undefined);
  }
  draft.note('upgrading', undefined, undefined, text, { upgrade: upgrade.id });
  draft.set({ nextUpgrade: nextUpgrade + 1, upgrade: { ...upgrade, plan } });
}

function underWay({ state: { upgrade } }: Draft): Reason | undefined {
  if (upgrade === undefined) return undefined;
  return { code: 'BH425', text: `'${upgrade.id}' is under way: ${upgrade.step}` };
}

function notRunning(phase: string): Reason {
  return { code: 'BH328', text: `the plugin is ${phase}` };
}
