/** A mount that every sandbox of a kind has, whatever was planned. */
export interface StandardMount {
  readonly target: string;
  /** Of the file system; `*` for any. */
  readonly type: string;
  /** Whether it is writable as it is made; a read-only one in its place is as good. */
  readonly writable: boolean;
  readonly most: number;
}

export function standardMount(target: string, type: string, writable: 'rw' | 'ro', most = 1): StandardMount {
  return { target, type, writable: writable === 'rw', most };
}

/** As `native/base/proc.c` covers them, for both kinds; not all kernels have all. */
export const COVERED_IN_PROC = [
  ...['interrupts', 'iomem', 'ioports', 'kallsyms', 'kcore', 'key-users', 'keys', 'kmsg', 'kpagecgroup', 'kpagecount'],
  ...['kpageflags', 'latency_stats', 'mtrr', 'sched_debug', 'slabinfo', 'sysrq-trigger', 'timer_list', 'vmallocinfo'],
  ...['acpi', 'asound', 'bus', 'driver', 'dynamic_debug', 'fs', 'irq', 'scsi', 'tty'],
];
