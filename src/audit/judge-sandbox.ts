import type { Declaration } from '../declare/declaration.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { transientUnit } from '../unit/transient-unit.ts';
import type { SandboxFacts, UnitFacts } from './facts.ts';
import { type Finding, finding, WALLS, wallOf } from './finding.ts';
import { judgeDescriptors } from './judge-descriptors.ts';
import { judgeMounts, judgeRoot, judgeState } from './judge-mounts.ts';
import { judgeProcesses } from './judge-processes.ts';
import { judgeFilter, judgeLimits, judgeProperties } from './judge-unit.ts';
import { KINDS } from './kinds.ts';

/**
 * Devices that the kernel puts into every network namespace when their module is loaded
 * (net.core.fb_tunnels_only_for_init_net): down, and no payload may bring one up.
 */
const FALLBACK_DEVICES = ['tunl0', 'sit0', 'ip6tnl0', 'gre0', 'gretap0', 'erspan0', 'ip_vti0', 'ip6_vti0', 'ip6gre0'];

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
    ...judgeNetwork(seen),
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

function judgeNetwork({ interfaces }: SandboxFacts): Finding[] {
  const strange = interfaces.filter(({ name, idle }) => name !== 'lo' && !(idle && FALLBACK_DEVICES.includes(name)));
  const names = interfaces.map(({ name }) => name).join(', ');
  const wrong = strange.map(({ name }) => `interface ${name}`);
  return wallOf('network', 'no interface but lo', names === '' ? 'none' : names, wrong);
}

function judgeCompleteness({ unread, processes }: SandboxFacts): Finding {
  const wanted = 'all of it can be read';
  return unread.length === 0
    ? finding('completeness', 'holds', wanted, `init and of the payload: ${processes.length}`)
    : finding('completeness', 'unknown', wanted, unread.join('; '));
}
