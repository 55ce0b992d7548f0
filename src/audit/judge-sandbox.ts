import type { Declaration } from '../declare/declaration.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { transientUnit } from '../unit/transient-unit.ts';
import type { SandboxFacts, UnitFacts } from './facts.ts';
import { type Finding, finding, WALLS } from './finding.ts';
import { judgeDescriptors } from './judge-descriptors.ts';
import { judgeMounts, judgeRoot, judgeState } from './judge-mounts.ts';
import { judgeNetwork } from './judge-network.ts';
import { judgeProcesses } from './judge-processes.ts';
import { judgeFilter, judgeLimits, judgeProperties } from './judge-unit.ts';
import { KINDS } from './kinds.ts';

/** All walls of one living sandbox, compared with its plan; in the order of WALLS, each at least once. */
export function judgeSandbox(
  plan: SandboxPlan,
  declaration: Declaration,
  seen: SandboxFacts,
  unit: UnitFacts,
): Finding[] {
  const findings = [
    finding('plan', 'holds', plan.digest, plan.digest),
    ...judgeProperties(plan.unit, transientUnit(plan).properties, unit.properties),
    ...judgeParent(plan, seen, unit),
    ...judgeLimits(plan, seen.cgroupFiles, seen.disks),
    ...judgeProcesses(plan, declaration, seen),
    judgeFilter(plan, unit),
    ...judgeRoot(plan, seen),
    ...judgeMounts(plan, seen),
    judgeState(plan, seen),
    ...judgeDescriptors(seen, declaration.allow),
    ...judgeNetwork(plan, seen),
    judgeCompleteness(seen),
  ];
  return WALLS.flatMap((wall) => findings.filter((each) => each.wall === wall));
}

/** A sandbox of an earlier declaration: what it was to be is not known any more. */
export function outdated(digest: string, inForce: string): Finding {
  return finding('plan', 'unknown', inForce, `${digest}, an earlier declaration or version; it is not compared`);
}

function judgeParent(plan: SandboxPlan, seen: SandboxFacts, unit: UnitFacts): Finding[] {
  const { maker, parent } = KINDS[plan.isolation];
  const deviation = parent(seen, unit);
  return deviation === '' ? [] : [finding('parents', 'broken', `init is a child of ${maker}`, deviation)];
}

function judgeCompleteness({ unread, processes }: SandboxFacts): Finding {
  const wanted = 'all of it can be read';
  return unread.length === 0
    ? finding('completeness', 'holds', wanted, `init and of the payload: ${processes.length}`)
    : finding('completeness', 'unknown', wanted, unread.join('; '));
}
