import assert from 'node:assert/strict';
import type { Credentials, MountFacts, ProcessFacts, SandboxFacts, UnitFacts } from '../../src/audit/facts.ts';
import { type Finding, type Verdict, type Wall, worst } from '../../src/audit/finding.ts';
import { judgeSandbox } from '../../src/audit/judge-sandbox.ts';
import type { Isolation } from '../../src/declare/declaration.ts';
import type { PlannedMount } from '../../src/plan/plan.ts';
import { transientUnit } from '../../src/unit/transient-unit.ts';
import { credentials, descriptor, type Healthy, healthySandbox } from './audit-facts.ts';

export function judge({ plan, plugin, facts, unit }: Healthy): Finding[] {
  return judgeSandbox(plan, plugin.declaration, facts, unit);
}

export function wrong(healthy: Healthy): Finding[] {
  return judge(healthy).filter(({ verdict }) => verdict !== 'holds');
}

export function withFacts(
  change: (facts: SandboxFacts) => Partial<SandboxFacts>,
  isolation: Isolation = 'nspawn',
): Healthy {
  const healthy = healthySandbox(isolation);
  return { ...healthy, facts: { ...healthy.facts, ...change(healthy.facts) } };
}

/** Changes the process with this pid: 101 is the main process, 102 its child. */
export function withProcess(pid: number, change: (process: ProcessFacts) => Partial<ProcessFacts>): Healthy {
  return withFacts(({ processes }) => ({
    processes: processes.map((each) => (each.pid === pid ? { ...each, ...change(each) } : each)),
  }));
}

export function withCredentials(fields: Partial<Credentials>): Healthy {
  return withProcess(102, (each) => ({ credentials: [...each.credentials, credentials(fields)] }));
}

export function withInit(fields: Partial<ProcessFacts>): Healthy {
  return withFacts(({ init }) => ({ init: { ...init, ...fields } }));
}

export function withUnit(fields: Partial<UnitFacts>): Healthy {
  const healthy = healthySandbox();
  return { ...healthy, unit: { ...healthy.unit, ...fields } };
}

export function withProperty(name: string, value: unknown): Healthy {
  return withUnit({ properties: { ...healthySandbox().unit.properties, [name]: value } });
}

export function withFile(file: string, text: string | null): Healthy {
  return withFacts(({ cgroupFiles }) => ({ cgroupFiles: { ...cgroupFiles, [file]: text } }));
}

export function withMount(fields: Partial<MountFacts> & { target: string }, isolation?: Isolation): Healthy {
  const added = {
    id: 999,
    root: '/',
    options: ['rw', 'nosuid', 'nodev'],
    type: 'tmpfs',
    superOptions: ['rw'],
    ...fields,
  };
  return withFacts(({ mounts }) => ({ mounts: [...mounts, added] }), isolation);
}

export function changedMount(target: string, fields: Partial<MountFacts>, isolation?: Isolation): Healthy {
  return withFacts(
    ({ mounts }) => ({ mounts: mounts.map((row) => (row.target === target ? { ...row, ...fields } : row)) }),
    isolation,
  );
}

/** The sandbox with one more planned mount, and what is mounted there; `same`: it is what was planned. */
export function withPlanned(planned: PlannedMount, row: Partial<MountFacts>, same = true): Healthy {
  const { facts, unit, ...healthy } = withMount({ ...row, target: planned.target });
  const plan = { ...healthy.plan, mounts: [...healthy.plan.mounts, planned] };
  const asked = Object.fromEntries(transientUnit(plan).properties.map(([name, , value]) => [name, value]));
  return {
    ...healthy,
    plan,
    unit: { ...unit, properties: { ...unit.properties, ...asked } },
    facts: { ...facts, same: new Map([...facts.same, [planned.target, same]]) },
  };
}

/** The sandbox with a state directory of 1M that has room for so many bytes. */
export function withState(stateRoom: number | null, quota: number | 'infinity' = 1 << 20): Healthy {
  const healthy = withFacts(() => ({ stateRoom }));
  return { ...healthy, plan: { ...healthy.plan, state: { directory: '/var/lib/bulkhead/state/hello', quota } } };
}

export function withDescriptor(target: string, fields: Parameters<typeof descriptor>[2] = {}): Healthy {
  return withProcess(102, ({ descriptors }) => ({ descriptors: [...descriptors, descriptor(20, target, fields)] }));
}

/** What is broken, the wall that tells of it, how, with which words, and a sandbox where it is so. */
export type BrokenCase = readonly [string, Wall, Verdict, RegExp, () => Healthy];

/** A test for each case: the only findings are of its wall, with its words. */
export function itFinds(cases: readonly BrokenCase[]): void {
  for (const [what, wall, verdict, words, broken] of cases) {
    it(`finds ${what}`, () => {
      const findings = wrong(broken());
      assert.deepEqual([...new Set(findings.map((each) => `${each.wall} ${each.verdict}`))], [`${wall} ${verdict}`]);
      assert.ok(
        findings.some(({ seen }) => words.test(seen)),
        JSON.stringify(findings, null, 1),
      );
      assert.equal(worst(findings), verdict);
    });
  }
}
