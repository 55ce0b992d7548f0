import { helperNeeds } from '../plan/network.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { unitLimits } from '../unit/overhead.ts';
import type { BusProperty } from '../unit/properties.ts';
import type { UnitFacts } from './facts.ts';
import { type Finding, finding, wallOf } from './finding.ts';
import { diskRows, limitRows } from './limit-rows.ts';

/** Set, but no wall: words for people, and for the journal. */
const NO_WALL = new Set(['Description', 'LogExtraFields', 'SuccessExitStatus', 'CollectMode', 'SyslogIdentifier']);

/** Properties of a unit or slice that systemd does not have as they were asked for. */
export function judgeProperties(
  unit: string,
  planned: readonly BusProperty[],
  properties: Readonly<Record<string, unknown>>,
): Finding[] {
  const walls = planned.filter(([name]) => !NO_WALL.has(name));
  const deviations = walls.flatMap(([name, signature, value]) => {
    const [wanted, seen] = [comparable(name, signature, value), comparable(name, signature, properties[name])];
    return wanted === seen ? [] : [`${name}=${shown(seen)} instead of ${shown(wanted)}`];
  });
  if (properties.LoadState !== 'loaded') deviations.unshift(`LoadState=${String(properties.LoadState)}`);
  return wallOf('unit', `${unit} with ${walls.length} properties as planned`, 'all as planned', deviations);
}

/** The command is asked for as `(path, words, ignore failure)` and told with times and pids behind that. */
function comparable(name: string, signature: string, value: unknown): string {
  if (value === undefined) return 'not there';
  if (name === 'ExecStart') {
    const [path, words] = (Array.isArray(value) && Array.isArray(value[0]) ? value[0] : []) as unknown[];
    return JSON.stringify([path, words]);
  }
  if (signature === 'as') return JSON.stringify([...(value as readonly string[])].sort());
  return String(value);
}

function shown(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** What is in force, as the cgroup's files say, beside what was asked for. */
export function judgeLimits(
  plan: SandboxPlan,
  files: Readonly<Record<string, string | null>>,
  disks: ReadonlyMap<string, string | undefined>,
): Finding[] {
  const limits = unitLimits(plan.limits, plan.isolation, helperNeeds(plan, plan.probes, plan.metrics));
  return [...limitRows(limits), ...diskRows(limits, disks)].map(({ name, asked, byDefault, file, parse }) => {
    const text = files[file] ?? null;
    const wanted = `${name} ${asked}`;
    if (text === null) {
      return asked === 'infinity' || asked === byDefault
        ? finding('limits', 'holds', wanted, 'nothing to enforce')
        : finding('limits', 'not-enforced', wanted, `no ${file}: the host has no such controller`);
    }
    const seen = parse(text);
    if (seen === undefined) return finding('limits', 'not-enforced', wanted, 'no block device behind that path');
    return finding('limits', seen === asked ? 'holds' : 'broken', wanted, `${file} ${text}`);
  });
}

/** The filter that was handed out. That the kernel still has it cannot be seen without tracing the payload. */
export function judgeFilter(plan: SandboxPlan, { filterGiven, filterCompiled }: UnitFacts): Finding {
  const wanted = `the compiled filter '${plan.seccomp}', ${filterCompiled.slice(0, 16)}`;
  if (filterGiven === null)
    return finding('filter', 'unknown', wanted, 'an earlier supervisor started it and did not note its filter');
  if (filterGiven === filterCompiled) return finding('filter', 'holds', wanted, 'it was handed to the launcher');
  return finding('filter', 'broken', wanted, `started with another one, ${filterGiven.slice(0, 16)}`);
}
