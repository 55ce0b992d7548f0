import type { DoctorFacts } from '../../../../src/control/doctor-checks.ts';

/** A host with nothing to complain about, apart from what a test changes. */
export function healthyFacts(changes: Partial<DoctorFacts> = {}): DoctorFacts {
  return {
    init: { known: 'systemd' },
    systemdVersion: { known: 257 },
    kernel: { known: '6.12.107+deb13-cloud-amd64' },
    cgroups: { known: 'unified' },
    controllers: { known: ['cpuset', 'cpu', 'io', 'memory', 'pids'] },
    nspawn: { known: 'systemd 257 (257.13-1~deb13u1)' },
    nspawnTrial: { known: { worked: true, text: '' } },
    maxUserNamespaces: { known: 15000 },
    userNamespaceTrial: { known: { worked: true, text: '' } },
    seccompActions: { known: ['kill_process', 'kill_thread', 'errno', 'allow'] },
    filters: { known: ['python-0123.bpf'] },
    addon: { known: { worked: true, text: '' } },
    systemBus: { known: { worked: true, text: '' } },
    polkit: { known: true },
    supervisor: { known: { version: '0.1.0' } },
    ownVersion: '0.1.0',
    installation: { known: [{ path: '/usr/sbin/bulkheadd', present: true }] },
    configuration: { known: { files: [], problems: [] } },
    space: {
      known: [{ path: '/run', freeBytes: 2 ** 30, totalBytes: 2 ** 31, freeInodes: 100_000, totalInodes: 200_000 }],
    },
    stateQuotas: { known: true },
    corePattern: {
      known: { pattern: '|/usr/lib/systemd/systemd-coredump %P', collector: true },
    },
    kdump: { known: { loaded: true, reservedBytes: 2 ** 28 } },
    pressure: { known: true },
    cgroupFiles: { known: ['cgroup.freeze', 'cgroup.kill'] },
    safeMode: { known: null },
    tcpMigrateReq: { known: 1 },
    clock: { known: { now: 1_795_000_000_000, synchronised: true } },
    ...changes,
  };
}
