import { spawn } from 'node:child_process';
import { UID_RANGE_COUNT, UID_RANGE_SIZE, uidBaseOf } from '../../../src/plan/identity.ts';
import { pause } from '../../support/load.ts';
import { must, until } from '../../support/system.ts';
import { firstInstruction, journal } from './journal.ts';
import { monotonicMs } from './machine.ts';
import { bundleOf } from './oci-bundle.ts';
import { BENCH_DIRECTORY, type BenchPlugin, sandboxesLeft } from './plugin.ts';
import { cpuMs } from './processes.ts';
import { nspawnService, plainService, type Systemd, type TransientService } from './systemd.ts';

/** Ways to start the same payload; what the table calls them. */
export const VARIANTS = {
  bare: 'bare fork and exec',
  bwrap: 'bubblewrap, all namespaces',
  crun: 'crun, all namespaces',
  service: 'transient service',
  nspawn: 'nspawn, no filter',
  filtered: 'nspawn, its own filter',
  bulkhead: 'bulkhead, nspawn',
  scope: 'bulkhead, scope',
} as const;

export type Variant = keyof typeof VARIANTS;

/** Whether the supervisor starts it. */
export function isOurs(variant: Variant): boolean {
  return variant === 'bulkhead' || variant === 'scope';
}

/** One start. Milliseconds of CLOCK_MONOTONIC. */
export interface Start {
  readonly plugin: BenchPlugin;
  readonly variant: Variant;
  readonly round: number;
  /** Just before the call that starts it. */
  readonly called: number;
  /** systemd's job was done, as its client sees it; undefined where systemd is not asked. */
  readonly done: number | undefined;
  /** When it had been stopped; nothing else was started in between. */
  readonly ended: number;
  /** First instruction, where the program that started it says so; the journal knows it otherwise. */
  readonly first: number | undefined;
  /** CPU time (ms) of start and stop together, of everything but the benchmark itself. */
  readonly cpu: number | undefined;
}

/** How long (ms) a payload usually needs: looked for before, it would be disturbed. */
const HEAD_START_MS = { c: 30, python: 80, node: 200 } as const;

export async function startOnce(
  systemd: Systemd,
  plugin: BenchPlugin,
  variant: Variant,
  round: number,
): Promise<Start> {
  const unit = unitOf(plugin, variant, round);
  switch (variant) {
    case 'bare':
      return startAlone(plugin, variant, round, plugin.command);
    case 'bwrap':
      return startAlone(plugin, variant, round, bubblewrap(plugin));
    case 'crun':
      return startInCrun(plugin, round);
    case 'service':
      return startUnit(plugin, variant, round, {
        start: () => systemd.startTransient(plainService(unit, plugin.command)),
        stop: () => systemd.stop(unit),
      });
    case 'nspawn':
    case 'filtered':
      return startUnit(plugin, variant, round, {
        start: () => systemd.startTransient(nspawnUnit(unit, plugin, variant === 'filtered')),
        stop: () => systemd.endPayload(unit),
      });
    case 'bulkhead':
    case 'scope':
      return startUnit(plugin, variant, round, {
        start: () => systemd.start(plugin.anchor),
        stop: async () => {
          await systemd.stop(plugin.anchor);
          await until('the end of the sandbox', () => !sandboxesLeft());
        },
      });
  }
}

/** The unit of a start that is not bulkhead's. */
export function unitOf(plugin: BenchPlugin, variant: Variant, round: number): string {
  return `${plugin.name}-${variant}-${round}.service`;
}

const nspawnOptions = new Map<BenchPlugin, readonly string[]>();

/** Remembers with which options the plugin's sandbox is started now: the others are to have the same. */
export function learnOptions(plugin: BenchPlugin): void {
  // Its activity page goes with the sandbox.
  const lasting = plugin.nspawnOptions().filter((option) => !option.includes('/run/bulkhead/activity/'));
  nspawnOptions.set(plugin, lasting);
}

function nspawnUnit(unit: string, plugin: BenchPlugin, own: boolean): TransientService {
  const options = (nspawnOptions.get(plugin) ?? []).map((option) => {
    if (option.startsWith('--machine=')) return `--machine=${unit.replace('.service', '')}`;
    // A range that the supervisor gives away last.
    if (option.startsWith('--private-users='))
      return `--private-users=${uidBaseOf(UID_RANGE_COUNT - 1)}:${UID_RANGE_SIZE}`;
    // There is no init of ours that would pass it on.
    return option === '--notify-ready=yes' ? '--notify-ready=no' : option;
  });
  if (options.length === 0) throw new Error(`the options for '${plugin.name}' are not known yet`);
  return nspawnService(unit, ['/usr/bin/systemd-nspawn', ...options, ...plugin.commandInside], own);
}

function bubblewrap(plugin: BenchPlugin): string[] {
  const links = ['bin', 'sbin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]);
  return [
    '/usr/bin/bwrap',
    '--unshare-all',
    '--die-with-parent',
    ...['--ro-bind', '/usr', '/usr', ...links],
    ...['--ro-bind', `/opt/plugin/${plugin.name}/v1`, '/plugin'],
    ...['--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--', ...plugin.commandInside],
  ];
}

/** Without a cgroup of its own, which the others do not have either. */
async function startInCrun(plugin: BenchPlugin, round: number): Promise<Start> {
  const container = `${plugin.name}-${round}`;
  const command = ['/usr/bin/crun', '--cgroup-manager=disabled', 'run', '--bundle', bundleOf(plugin), container];
  try {
    return await startAlone(plugin, 'crun', round, command);
  } finally {
    await must('/usr/bin/crun', 'delete', '--force', container);
  }
}

async function startAlone(
  plugin: BenchPlugin,
  variant: Variant,
  round: number,
  command: readonly string[],
): Promise<Start> {
  const printed = await once(command);
  const [called = Number.NaN, first] = printed
    .trim()
    .split(' ')
    .map((nanoseconds) => Number(nanoseconds) / 1e6);
  return { plugin, variant, round, called, done: undefined, first, ended: monotonicMs(), cpu: undefined };
}

/** Its own standard output alone is waited for: a container that is left over may hold what it was given for longer. */
async function once(command: readonly string[]): Promise<string> {
  const child = spawn(`${BENCH_DIRECTORY}/once`, [...command], { stdio: ['ignore', 'pipe', 'inherit'] });
  const texts: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => texts.push(text));
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`once ${command.join(' ')}: status ${status}`);
  return texts.join('');
}

async function startUnit(
  plugin: BenchPlugin,
  variant: Variant,
  round: number,
  unit: { start(): Promise<void>; stop(): Promise<void> },
): Promise<Start> {
  const cpuBefore = othersCpuMs();
  const called = monotonicMs();
  await unit.start();
  const done = monotonicMs();
  await untilItRan(called, HEAD_START_MS[plugin.language]);
  await unit.stop();
  const cpu = othersCpuMs() - cpuBefore;
  return { plugin, variant, round, called, done, first: undefined, ended: monotonicMs(), cpu };
}

/** The payload's line is in the journal. */
async function untilItRan(since: number, headStart: number): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    await pause(headStart);
    if (journal(20).some((line) => (firstInstruction(line) ?? 0) > since)) return;
  }
  throw new Error('the payload did not say that it runs');
}

/** CPU time of the whole machine but for what runs beside its systemd: the benchmark and its helpers. */
function othersCpuMs(): number {
  return cpuMs('') - cpuMs('/lab-exec');
}
