import { type Attempt, harmless, opening, openingOfKernel, refused } from '../attempt.ts';

/** Kernel settings: opened only, never written, for there is but one kernel. */
const SETTINGS = [
  'kernel/core_pattern',
  'kernel/modprobe',
  'kernel/sysrq',
  'kernel/panic',
  'kernel/kptr_restrict',
  'kernel/unprivileged_bpf_disabled',
  'kernel/randomize_va_space',
  'kernel/ns_last_pid',
  'kernel/domainname',
  'kernel/hostname',
  'kernel/keys/maxkeys',
  'kernel/random/poolsize',
  'vm/overcommit_memory',
  'vm/drop_caches',
  'vm/mmap_min_addr',
  'fs/suid_dumpable',
  'fs/protected_symlinks',
  'fs/file-max',
  'user/max_user_namespaces',
];

const WRITTEN_BY_ROOT = [
  ...SETTINGS.map((name) => `/proc/sys/${name}`),
  '/proc/sysrq-trigger',
  '/proc/irq/default_smp_affinity',
  '/proc/mtrr',
  '/proc/bus/pci/devices',
  '/sys/kernel/uevent_helper',
  '/sys/kernel/uevent_seqnum',
  '/sys/kernel/mm/transparent_hugepage/enabled',
  '/sys/kernel/kexec_crash_size',
  '/sys/power/state',
  '/sys/module/kernel/parameters/panic',
];
const READ_BY_ROOT = [
  'kcore',
  'kallsyms',
  'keys',
  'timer_list',
  'kmsg',
  'slabinfo',
  'kpageflags',
  'vmallocinfo',
  'sched_debug',
];
/** File systems of the kernel for administrators: the places are there, and nothing is in them. */
const FOR_ADMINISTRATORS = ['debug', 'tracing', 'security', 'config'];

/**
 * Its own file systems. And by pressure files of the kernel everybody may ask to be woken when the node is under
 * pressure, at most every two seconds: what it learns so is the same that can be read there.
 */
const WRITABLE =
  /^(?:(?:\/tmp(?:\/\S+)?|\/dev\/shm|\/dev\/mqueue|\/run\/bulkhead\/activity|\/proc\/pressure\/(?:cpu|io|memory|irq)) )+$/;

export const KERNEL_FILES: readonly Attempt[] = [
  ...WRITTEN_BY_ROOT.map((path) => openingOfKernel(path, 'w')),
  ...READ_BY_ROOT.map((name) => openingOfKernel(`/proc/${name}`, 'r')),
  ...FOR_ADMINISTRATORS.map(
    (name): Attempt => ({
      name: `what is in /sys/kernel/${name}`,
      steps: () => [['list', `/sys/kernel/${name}`]],
      expects: refused('ENOENT'),
    }),
  ),
  opening('/sys/fs/bpf', 'rd', 'ENOENT'),
  opening('/sys/fs/pstore', 'rd', 'ENOENT'),
  opening('/sys/firmware/efi/efivars', 'rd', 'ENOENT'),
  opening('/boot', 'rd', 'ENOENT'),
  opening('/dev/kmsg', 'r', 'ENOENT'),
  {
    name: 'everything that can be written',
    steps: () => [['writable', '/']],
    expects: harmless(WRITABLE),
  },
];
