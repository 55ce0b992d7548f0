import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { promisify } from 'node:util';
import { cpuTemperature, graphics, mem } from 'systeminformation';
import { parseUncorrected, parseXids, plainBus } from '../diagnose/gpu-text.ts';
import type { GpuFacts, NodeFacts } from '../diagnose/node-facts.ts';

const run = promisify(execFile);

/** Whatever asks another program gives up after it; ms. The unit's own limit is longer. */
const LIMIT_MS = 5000;

/** One look at the node. Runs in a process of its own: drivers and the tools of vendors may hang, or crash. */
export async function lookAtNode(): Promise<NodeFacts> {
  const [temperature, memory, gpus] = await Promise.all([
    orNull(async () => {
      const { max, main } = await cpuTemperature();
      return max ?? main;
    }),
    orNull(async () => {
      const { total, available } = await mem();
      return { totalBytes: total, availableBytes: available };
    }),
    orNull(lookAtGpus),
  ]);
  return { temperature, memory, load: loadavg()[0] ?? null, cpus: availableParallelism(), gpus: gpus ?? [] };
}

/** Where there is no driver for a GPU, its tools are not asked: that takes half of all the time. */
async function lookAtGpus(): Promise<readonly GpuFacts[]> {
  const hasNvidia = existsSync('/proc/driver/nvidia');
  if (!hasNvidia && !existsSync('/sys/class/drm/card0')) return [];
  const { controllers } = await graphics();
  const errors = hasNvidia ? await orNull(uncorrectedErrors) : null;
  const xids = hasNvidia ? await orNull(recentXids) : null;
  return controllers.map(({ busAddress = '', model, temperatureGpu = null }) => {
    const bus = plainBus(busAddress);
    return {
      bus,
      model,
      temperature: temperatureGpu,
      uncorrectedErrors: errors?.get(bus) ?? null,
      xid: xids?.get(bus) ?? null,
    };
  });
}

async function uncorrectedErrors(): Promise<ReadonlyMap<string, number>> {
  const query = 'pci.bus_id,ecc.errors.uncorrected.volatile.total';
  const { stdout } = await run('nvidia-smi', [`--query-gpu=${query}`, '--format=csv,noheader,nounits'], bounds());
  return parseUncorrected(stdout);
}

async function recentXids(): Promise<ReadonlyMap<string, number>> {
  const words = [
    '--dmesg',
    '--boot',
    '--since=-10min',
    '--grep=NVRM: Xid',
    '--output=cat',
    '--lines=100',
    '--no-pager',
  ];
  const { stdout } = await run('journalctl', words, bounds());
  return parseXids(stdout);
}

function bounds() {
  return { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 20 } as const;
}

async function orNull<Value>(look: () => Promise<Value>): Promise<Value | null> {
  try {
    return await look();
  } catch {
    return null;
  }
}
