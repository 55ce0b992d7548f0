import { living, type PluginState, type SandboxEntry } from '../decide/plugin-state.ts';
import { otherSlot } from '../decide/sides.ts';
import type { FailedPlan, Upgrade, UpgradeOutcome } from '../decide/upgrade.ts';
import { upgradeLine } from '../decide/upgrade-line.ts';
import type { JudgedSignal, Judgement, SideSignals } from '../diagnose/judge.ts';
import type { SlotName } from '../plan/plan.ts';
import type {
  FailedVersion,
  JudgementRow,
  JudgementStatus,
  SideSignalsStatus,
  SideStatus,
  UpgradeOutcomeStatus,
  UpgradeReport,
  UpgradeStatus,
} from './upgrade-api.ts';

/** What is known of a plugin's changes of version; from its state alone. */
export function upgradeReport(state: PluginState, now: number): UpgradeReport {
  const { upgrade, lastUpgrade, previous, failedPlans } = state;
  return {
    upgrade: upgrade === undefined ? null : underWay(state, upgrade, now),
    lastUpgrade: lastUpgrade === undefined ? null : outcome(lastUpgrade),
    previousVersion: previous?.version ?? null,
    failedVersions: failedPlans.map(failedVersion),
  };
}

function underWay(state: PluginState, upgrade: Upgrade, now: number): UpgradeStatus {
  const { id, kind, way, from, to, by, why, step, stages, stage, weight, weighed, since, bakeMs, signals, undo } =
    upgrade;
  return {
    id,
    kind,
    way,
    from: from ?? null,
    to: to ?? null,
    by,
    why: why ?? null,
    step,
    stages,
    stage,
    weight,
    weighed,
    sinceMs: Math.round(now - since),
    stepSinceMs: Math.round(now - (upgrade.stageSince ?? upgrade.stepSince)),
    bakeMs,
    ...(way === 'in-place' ? bothInPlace(state, upgrade) : bothBeside(state, upgrade)),
    judgement: signals === undefined ? null : judgementStatus(signals.judgement),
    undo: undo ?? null,
    line: upgradeLine(upgrade, now),
  };
}

function bothBeside(state: PluginState, upgrade: Upgrade): Pick<UpgradeStatus, 'old' | 'new'> {
  const { slot, step, from, to, weight, weighed, rung, signals } = upgrade;
  const isLive = step === 'draining';
  const share = isLive ? 100 : weighed ? weight : 0;
  const [old, fresh] = [sandboxesIn(state, otherSlot(slot)), sandboxesIn(state, slot)];
  const isGrowing = step === 'starting' || step === 'canary' || step === 'committing';
  return {
    old: side(otherSlot(slot), from, 100 - share, old, isGrowing ? rung.old : old.length, signals?.old),
    new: side(slot, to, share, fresh, isGrowing ? rung.new : fresh.length, signals?.new),
  };
}

/** The same sandboxes, which have the one version or the other. */
function bothInPlace(state: PluginState, upgrade: Upgrade): Pick<UpgradeStatus, 'old' | 'new'> {
  const { slot, step, from, to, signals } = upgrade;
  const isSwitched = step === 'baking' || step === 'committing' || step === 'draining';
  const own = sandboxesIn(state, slot);
  const [old, fresh] = isSwitched ? [[], own] : [own, []];
  return {
    old: side(slot, from, isSwitched ? 0 : 100, old, old.length, signals?.old),
    new: side(slot, to, isSwitched ? 100 : 0, fresh, fresh.length, signals?.new),
  };
}

/** Those of the pool that run or will. */
function sandboxesIn(state: PluginState, slot: SlotName): SandboxEntry[] {
  return living(state).filter((each) => each.slot === slot && !each.standby && !each.learning);
}

function side(
  slot: SlotName,
  version: string | undefined,
  weight: number,
  own: readonly SandboxEntry[],
  wanted: number,
  signals: SideSignals | undefined,
): SideStatus {
  return {
    slot,
    version: version ?? null,
    weight,
    ready: own.filter(({ life }) => life === 'ready').length,
    wanted,
    signals: signals === undefined ? null : signalsStatus(signals),
  };
}

function signalsStatus(signals: SideSignals): SideSignalsStatus {
  const { deaths, ill, restarts, unready, latency } = signals;
  return {
    requests: signals.requests ?? null,
    errors: signals.errors ?? null,
    medianMs: latency?.medianMs ?? null,
    p99Ms: latency?.p99Ms ?? null,
    deaths,
    ill,
    restarts,
    unready,
    memoryBytes: signals.memoryBytes ?? null,
    memoryPerMinute: signals.memoryPerMinute ?? null,
    queued: signals.queued ?? null,
    inHand: signals.inHand ?? null,
    source: signals.source ?? null,
  };
}

function judgementStatus({ verdict, reason, rows }: Judgement): JudgementStatus {
  return { verdict, reason: reason ?? null, rows: rows.map(row) };
}

function row({ signal, old, new: is, bound, enough, bad }: JudgedSignal): JudgementRow {
  return { signal, old, new: is, bound, enough, bad };
}

function outcome({ judgement, ...rest }: UpgradeOutcome): UpgradeOutcomeStatus {
  const { id, kind, by, outcome: what, at } = rest;
  return {
    id,
    kind,
    from: rest.from ?? null,
    to: rest.to ?? null,
    by,
    why: rest.why ?? null,
    outcome: what,
    reason: rest.reason ?? null,
    rows: judgement?.rows.map(row) ?? [],
    incident: rest.incident ?? null,
    at,
  };
}

function failedVersion({ version, digest, at, reason, incident }: FailedPlan): FailedVersion {
  return { version: version ?? null, digest, at, reason, incident: incident ?? null };
}
