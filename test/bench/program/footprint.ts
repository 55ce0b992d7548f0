import { readFileSync } from 'node:fs';
import { pause } from '../../support/load.ts';
import { run, systemctl, until } from '../../support/system.ts';
import { declarationLines } from './declaration-lines.ts';
import { machineFacts, monotonicMs } from './machine.ts';
import { options } from './options.ts';
import { BENCH_DIRECTORY, BenchPlugin, sandboxesLeft } from './plugin.ts';
import { cpuMs, type Memory, memoryOf, NO_MEMORY, processesBelow, sum, wakeups } from './processes.ts';
import { deliver, progress } from './result.ts';
import { plainService, Systemd } from './systemd.ts';
import { figure, table } from './table.ts';

/** The supervisor is to stay within this, whatever it looks after: MB of RSS. */
const AIM_MB = 64;

/** Sandboxes, each of a plugin of its own: the anchors are counted, too. */
const COUNTS = [0, 10, 50];
const COUNTS_QUICK = [0, 2];

/** Seconds over which "idle" is measured. */
const IDLE_S = 20;
const IDLE_QUICK_S = 1;

/** Time (ms) for start-up work to end and for the collector of Node.js to run, before anything is measured. */
const SETTLE_MS = 4000;
const SETTLE_QUICK_MS = 200;

interface Step {
  readonly sandboxes: number;
  readonly supervisor: Memory;
  /** The most that the supervisor ever had resident, kB. */
  readonly supervisorPeak: number;
  /** Percent of one processor, and wake-ups of all threads a second, while nothing happens. */
  readonly supervisorCpu: number;
  readonly supervisorWakeups: number;
  /** PID 1, which keeps the units. */
  readonly systemd: Memory;
  /** All processes of that kind together. */
  readonly nspawn: Memory;
  readonly init: Memory;
  readonly payload: Memory;
  readonly anchor: Memory;
}

interface Figures {
  readonly steps: readonly Step[];
  /** kB per sandbox, from none to the most of them; `supervisor` and `systemd` are what they grew by. */
  readonly perSandbox: Readonly<Record<'supervisor' | 'systemd' | 'nspawn' | 'init' | 'payload' | 'anchor', Memory>>;
  /** The same for transient services of systemd without any isolation. */
  readonly perService: { readonly services: number; readonly payload: Memory; readonly systemd: Memory };
  readonly aim: { readonly megabytes: number; readonly reached: boolean };
}

const { quick, out, revision } = options(1);
const counts = quick ? COUNTS_QUICK : COUNTS;
const most = Math.max(...counts);
const machine = await machineFacts(revision);
const systemd = new Systemd();
const plugins = Array.from({ length: most }, (_, index) => new BenchPlugin(`bench-${index + 1}`, 'c'));
const services = plugins.map(({ name }) => `${name}-alone.service`);

const steps: Step[] = [];
let perService: Figures['perService'];
try {
  // The supervisor as it is after a start of its own, not after what came before.
  await systemctl('restart', 'bulkheadd');
  for (const count of counts) {
    for (const [index, plugin] of plugins.slice(0, count).entries()) {
      if (plugin.payloads().length > 0) continue;
      plugin.install(declarationLines({ port: 8400 + index }));
      await systemd.start(plugin.anchor);
    }
    await until(`${count} sandboxes`, () => plugins.slice(0, count).every((plugin) => plugin.payloads().length === 1));
    progress(`${count} sandboxes run; measuring`);
    steps.push(await measure(count));
  }
  for (const plugin of plugins) await systemd.stop(plugin.anchor);
  await until('the end of all sandboxes', () => !sandboxesLeft());
  perService = await measureServices();
} finally {
  for (const unit of services) await run('systemctl', 'stop', unit);
  for (const plugin of plugins) await plugin.remove();
  systemd.release();
}

async function measure(sandboxes: number): Promise<Step> {
  await pause(quick ? SETTLE_QUICK_MS : SETTLE_MS);
  const pid = Number(await systemctl('show', '-P', 'MainPID', 'bulkheadd'));
  const idleMs = (quick ? IDLE_QUICK_S : IDLE_S) * 1000;
  const before = { cpu: supervisorCpuMs(), wakeups: wakeups(pid), at: monotonicMs() };
  await pause(idleMs);
  const took = monotonicMs() - before.at;
  const [cpu, woken] = [supervisorCpuMs() - before.cpu, wakeups(pid) - before.wakeups];
  const inSlice = processesBelow('/plugin.slice');
  const named = (name: string): Memory =>
    sum(inSlice.filter((one) => one.name === name).map((one) => memoryOf(one.pid)));
  const anchors = processesBelow('/system.slice/system-plugin.slice');
  return {
    sandboxes,
    supervisor: memoryOf(pid),
    supervisorPeak: Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]),
    supervisorCpu: (cpu / took) * 100,
    supervisorWakeups: (woken / took) * 1000,
    systemd: memoryOf(1),
    nspawn: named('systemd-nspawn'),
    init: named('plugin-ready'),
    payload: sum(plugins.flatMap((plugin) => plugin.payloads()).map(memoryOf)),
    anchor: sum(anchors.map((one) => memoryOf(one.pid))),
  };
}

function supervisorCpuMs(): number {
  return cpuMs('/system.slice/bulkheadd.service');
}

async function measureServices(): Promise<Figures['perService']> {
  const before = memoryOf(1);
  for (const unit of services) await systemd.startTransient(plainService(unit, [`${BENCH_DIRECTORY}/payload`]));
  progress(`${services.length} transient services run; measuring`);
  await pause(quick ? SETTLE_QUICK_MS : SETTLE_MS);
  const payloads = services.map((unit) => systemd.mainPid(unit)).filter((pid) => pid !== undefined);
  if (payloads.length !== most) throw new Error(`${payloads.length} of ${most} transient services run`);
  return {
    services: most,
    payload: share(sum(payloads.map(memoryOf)), most),
    systemd: share(difference(memoryOf(1), before), most),
  };
}

function share({ rss, pss, uss }: Memory, count: number): Memory {
  return { rss: rss / count, pss: pss / count, uss: uss / count };
}

function difference(one: Memory, other: Memory): Memory {
  return { rss: one.rss - other.rss, pss: one.pss - other.pss, uss: one.uss - other.uss };
}

const [first, last] = [steps[0], steps.at(-1)];
if (first === undefined || last === undefined) throw new Error('nothing was measured');
const kinds = ['supervisor', 'systemd', 'nspawn', 'init', 'payload', 'anchor'] as const;
const perSandbox = Object.fromEntries(
  kinds.map((kind) => [kind, share(difference(last[kind], first[kind]), most)]),
) as Figures['perSandbox'];
const reached = steps.every(({ supervisor }) => supervisor.rss <= AIM_MB * 1024);

deliver<Figures>(
  {
    bench: 'footprint',
    quick,
    out,
    machine,
    n: 1,
    figures: { steps, perSandbox, perService, aim: { megabytes: AIM_MB, reached } },
  },
  [
    `The supervisor (MB), idle over ${quick ? IDLE_QUICK_S : IDLE_S} s:`,
    table(
      ['sandboxes', 'RSS', 'PSS', 'USS', 'most RSS ever', 'CPU %', 'wake-ups/s', 'PID 1: PSS'],
      steps.map((step) => [
        String(step.sandboxes),
        megabytes(step.supervisor.rss),
        megabytes(step.supervisor.pss),
        megabytes(step.supervisor.uss),
        megabytes(step.supervisorPeak),
        step.supervisorCpu.toFixed(3),
        step.supervisorWakeups.toFixed(1),
        megabytes(step.systemd.pss),
      ]),
    ),
    `A sandbox of the static C payload, in a pool of 1 with an anchor of its own (kB each, mean of ${most}):`,
    table(
      ['', 'PSS', 'USS', 'RSS'],
      [
        ...kinds.map((kind) => row(kind, perSandbox[kind])),
        row(
          'together',
          kinds.map((kind) => perSandbox[kind]).reduce((one, other) => sum([one, other]), NO_MEMORY),
        ),
      ],
    ),
    `The same payload as a transient service (kB each, mean of ${most}):`,
    table(
      ['', 'PSS', 'USS', 'RSS'],
      [
        row('payload', perService.payload),
        row('systemd', perService.systemd),
        row('together', sum([perService.payload, perService.systemd])),
      ],
    ),
    `aim: supervisor at or under ${AIM_MB} MB RSS: ${steps.map(({ sandboxes, supervisor }) => `${megabytes(supervisor.rss)} with ${sandboxes}`).join(', ')}: ${reached ? 'reached' : 'NOT reached'}`,
  ].join('\n\n'),
);

function megabytes(kilobytes: number): string {
  return (kilobytes / 1024).toFixed(1);
}

function row(title: string, { pss, uss, rss }: Memory): string[] {
  return [title, figure(pss), figure(uss), figure(rss)];
}
