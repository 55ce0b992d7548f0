import { readFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { must, run } from '../../support/system.ts';

/** Where a benchmark ran: without it, no number means anything. */
export interface MachineFacts {
  readonly kernel: string;
  readonly systemd: string;
  readonly node: string;
  readonly bulkhead: string;
  readonly revision: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryMb: number;
  /** Load average of the last minute when the benchmark began. */
  readonly loadBefore: number;
}

/** The same where nothing is installed, for what is measured beside the machines of the tests. */
export async function hostFacts(revision: string, bulkhead: string): Promise<MachineFacts> {
  const { stdout } = await run('systemctl', '--version');
  return factsOf(revision, stdout.split('\n')[0] ?? '', process.version, bulkhead);
}

export async function machineFacts(revision: string): Promise<MachineFacts> {
  const [systemd = ''] = (await must('systemctl', '--version')).split('\n');
  const node = (await must('/usr/bin/node', '--version')).trim();
  const bulkhead = (await must('dpkg-query', '--show', 'bulkhead')).trim().replace(/^.*\t/, '');
  return factsOf(revision, systemd, node, bulkhead);
}

function factsOf(revision: string, systemd: string, node: string, bulkhead: string): MachineFacts {
  return {
    kernel: release(),
    systemd: systemd.replace(/^systemd /, '') || 'none',
    node,
    bulkhead,
    revision,
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(Number(/^MemTotal: +(\d+)/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]) / 1024),
    loadBefore: loadAverage(),
  };
}

/** Of the last minute, of the whole machine. */
export function loadAverage(): number {
  return Number(readFileSync('/proc/loadavg', 'utf8').split(' ')[0]);
}

/** CLOCK_MONOTONIC in ms, with fractions: the clock of all that is compared here. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
