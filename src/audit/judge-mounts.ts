import type { PlannedMount, SandboxPlan } from '../plan/plan.ts';
import type { MountFacts, SandboxFacts } from './facts.ts';
import { type Finding, finding, wallOf } from './finding.ts';
import { nameOf } from './judge-processes.ts';
import { KINDS } from './kinds.ts';

/** The root directory of all processes: the planned one, read-only. */
export function judgeRoot(plan: SandboxPlan, seen: SandboxFacts): Finding[] {
  const roots = seen.mounts.filter(({ target }) => target === '/');
  const writable = roots.filter(({ options }) => !options.includes('ro'));
  return wallOf('root', `'${plan.rootDirectory}', read-only`, 'as planned', [
    ...(roots.length === 0 ? ['nothing is mounted at /'] : []),
    ...(roots.length > 1 ? [`${roots.length} mounts at /`] : []),
    ...writable.map(() => '/ is writable'),
    ...[seen.init, ...seen.processes]
      .filter(({ root }) => root !== seen.plannedRoot)
      .map((process) => `${nameOf(process)}: has another root directory`),
  ]);
}

/** Every mount but the root: planned, or one that every sandbox of the kind has. */
export function judgeMounts(plan: SandboxPlan, seen: SandboxFacts): Finding[] {
  const kind = KINDS[plan.isolation];
  const room = new Map<string, number>();
  const known = (key: string, most: number): boolean => {
    const used = room.get(key) ?? 0;
    room.set(key, used + 1);
    return used < most;
  };
  const rest: MountFacts[] = [];
  const deviations: string[] = [];
  const found = new Set<string>();
  // The last one at a target lies on top: that is the planned one where there is one of the standard ones below.
  for (const row of seen.mounts.toReversed()) {
    if (row.target === '/') continue;
    const planned = plan.mounts.find(({ target }) => target === row.target);
    if (planned === undefined || found.has(row.target)) rest.push(row);
    else {
      found.add(row.target);
      deviations.push(...plannedDeviations(planned, row, seen));
    }
  }
  for (const row of rest.toReversed()) {
    const writable = !row.options.includes('ro');
    if (belowBind(plan, row, seen) && !writable && known(`below ${row.target}`, 1)) continue;
    const rows = kind.mounts
      .filter(
        (each) =>
          each.target === row.target && (each.type === '*' || each.type === row.type) && (each.writable || !writable),
      )
      .sort((one, other) => Number(one.writable) - Number(other.writable));
    if (rows.some((each) => known(`${each.target} ${each.type} ${each.writable}`, each.most))) {
      deviations.push(...standardDeviations(plan, row));
    } else deviations.push(`${describe(row)} is not planned`);
  }
  for (const target of kind.covered) {
    const [top, ...below] = seen.mounts.filter((row) => row.target === target).toReversed();
    if (top?.type !== 'tmpfs' || top.root !== '/' || below.length === 0) deviations.push(`${target} is not covered`);
  }
  const missing = plan.mounts.filter(({ target }) => !found.has(target));
  deviations.push(...missing.map(({ target }) => `nothing is mounted at ${target}`));
  const wanted = `${plan.mounts.map(({ kind, target }) => `${target} (${kind})`).join(', ')}, and what ${kind.maker} makes`;
  return wallOf('mounts', wanted, `${seen.mounts.length} mounts as planned`, deviations);
}

function plannedDeviations(planned: PlannedMount, row: MountFacts, { same }: SandboxFacts): string[] {
  const { target, options } = row;
  if (planned.kind === 'tmpfs') {
    if (row.type !== 'tmpfs') return [`${describe(row)} is not the planned tmpfs`];
    const given = sizeOf(row.superOptions);
    // The kernel rounds up to whole pages.
    const tooLarge = given === undefined || given > planned.size + PAGE;
    return [
      ...lacking(row, 'nosuid', 'nodev'),
      ...(tooLarge ? [`${target} has room for ${given ?? 'any number of'} bytes, planned are ${planned.size}`] : []),
    ];
  }
  const writable = planned.kind === 'bind' || planned.kind === 'bind-file';
  return [
    ...(!writable && !options.includes('ro') ? [`${target} is writable`] : []),
    ...(writable && options.includes('ro') ? [`${target} is not writable`] : []),
    ...(same.get(target) === true ? [] : [`${target} is not '${planned.source}'`]),
    ...(writable ? lacking(row, 'nosuid', 'nodev', 'noexec') : []),
    ...(planned.kind === 'bind' ? lacking(row, 'idmapped') : []),
  ];
}

function lacking({ target, options }: MountFacts, ...wanted: readonly string[]): string[] {
  return wanted.filter((option) => !options.includes(option)).map((option) => `${target} is not ${option}`);
}

/** That the directory is the planned one is a matter of its mount. */
export function judgeState({ state }: SandboxPlan, { stateRoom }: SandboxFacts): Finding {
  if (state === undefined) return finding('state', 'holds', 'none', 'none is declared');
  const wanted = `'${state.directory}', quota ${state.quota}`;
  if (stateRoom === null) return finding('state', 'unknown', wanted, 'it was not looked at');
  const seen = `room for ${stateRoom} bytes`;
  if (state.quota === 'infinity' || stateRoom <= state.quota) return finding('state', 'holds', wanted, seen);
  return finding('state', 'not-enforced', wanted, `${seen}: no quota is in force there`);
}

const PAGE = 4096;

/** Bytes of `size=`; the kernel tells it in K (tmpfs(5)). */
function sizeOf(options: readonly string[]): number | undefined {
  const [, digits, kilo] =
    options.map((option) => /^size=(\d+)(k?)$/.exec(option)).find((match) => match !== null) ?? [];
  return digits === undefined ? undefined : Number(digits) * (kilo === 'k' ? 1024 : 1);
}

/** Binds come with all that is mounted below: what the host has there is seen, too, read-only. */
function belowBind(plan: SandboxPlan, { target }: MountFacts, { hostMounts }: SandboxFacts): boolean {
  const binds = [
    { source: plan.rootDirectory, target: '' },
    ...plan.mounts.filter((mount) => mount.kind === 'bind-ro' || mount.kind === 'slot'),
  ];
  return binds.some((bind) => {
    if (!target.startsWith(`${bind.target}/`)) return false;
    return hostMounts.has(`${bind.source}${target.slice(bind.target.length)}`);
  });
}

/** All standard ones are free of set-uid programs, and the cgroups that are seen are the sandbox's own. */
function standardDeviations(plan: SandboxPlan, row: MountFacts): string[] {
  const wrong: string[] = [];
  const writable = !row.options.includes('ro');
  if (writable && !row.options.includes('nosuid')) wrong.push(`${row.target} is writable, and not nosuid`);
  if (row.type === 'cgroup2' && !row.root.endsWith(plan.payloadCgroup))
    wrong.push(`${row.target} shows the cgroup '${row.root}'`);
  return wrong;
}

function describe({ target, type, options }: MountFacts): string {
  return `${target} (${type}, ${options.includes('ro') ? 'read-only' : 'writable'})`;
}
