import type { PluginState, SandboxEntry } from '../decide/plugin-state.ts';
import { scoreOf } from '../decide/score.ts';
import { cgroupNumber } from '../kernel/cgroup.ts';
import { payloadFacts } from '../kernel/payload.ts';
import { parseSandboxUnit, UID_RANGE_SIZE } from '../plan/identity.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Vitals } from '../watch/vitals.ts';
import type { SandboxStanding, SandboxStatus, VitalsStatus } from './api.ts';
import type { LimitsOfPlugin } from './limit-status.ts';

export interface SandboxStatusParts {
  readonly sandboxes: Sandboxes;
  /** What a sandbox was at, at its last heartbeat. */
  readonly vitals: (unit: string) => Vitals | undefined;
}

/** A sandbox as it is now: what was decided about it, and what is read of it at this moment. */
export function sandboxStatus(
  entry: SandboxEntry,
  state: PluginState,
  now: number,
  limits: LimitsOfPlugin | undefined,
  parts: SandboxStatusParts,
): SandboxStatus {
  const sandbox = parts.sandboxes.get(entry.unit);
  const facts = payloadFacts(sandbox?.record.payloadCgroup);
  const record = sandbox?.record;
  return {
    isolation: parseSandboxUnit(entry.unit)?.isolation ?? '',
    machine: record?.machine ?? '',
    slot: entry.slot,
    generation: entry.generation,
    version: record?.version ?? null,
    payloadPid: facts.payloadPid,
    initPid: facts.initPid,
    cgroup: record?.cgroup ?? null,
    uidBase: record?.uidBase ?? 0,
    uidCount: UID_RANGE_SIZE,
    learning: entry.learning,
    seccomp: { profile: record?.seccomp ?? '', mode: facts.seccompMode, filters: facts.seccompFilters },
    memoryBytes: record === undefined ? null : cgroupNumber(record.cgroup, 'memory.current'),
    tasks: record === undefined ? null : cgroupNumber(record.cgroup, 'pids.current'),
    readySinceMs: entry.readyAt === undefined ? null : Math.round(now - entry.readyAt),
    statusText: sandbox?.statusText ?? null,
    probes: [...(sandbox?.probes.values() ?? [])].map(({ probe, passes, asked, text, at }) => ({
      name: probe,
      passes,
      asked,
      text,
      agoMs: Math.round(now - at),
    })),
    limits: limits?.sandboxes.get(entry.unit) ?? [],
    limitsReached: [...entry.reached.values()]
      .sort((one, other) => other.at - one.at)
      .map(({ limit, count, text, at }) => ({ limit, count, text, agoMs: Math.round(now - at) })),
    ...sandboxStanding(entry, state, now, parts.vitals(entry.unit)),
  };
}

/** What is in memory about it: nothing is read for this, so that it can be asked of all sandboxes again and again. */
export function sandboxStanding(
  entry: SandboxEntry,
  state: PluginState,
  now: number,
  vitals: Vitals | undefined,
): SandboxStanding {
  const { unit, life, standby, seat, gate, gateSeen, verdict } = entry;
  return {
    unit,
    state: life === 'dead' ? 'gone' : life,
    standby,
    seat: seat < 0 ? null : seat,
    gate: gateSeen ?? gate ?? null,
    score: seat < 0 ? null : scoreOf(state, seat, now),
    illness: verdict === undefined ? null : { class: verdict.class, kind: verdict.kind ?? null, text: verdict.text },
    vitals: vitalsStatus(vitals, now),
  };
}

function vitalsStatus(vitals: Vitals | undefined, now: number): VitalsStatus | null {
  if (vitals === undefined) return null;
  const { at, memoryBytes: _charged, ...rest } = vitals;
  return { ...rest, agoMs: Math.round(now - at) };
}
