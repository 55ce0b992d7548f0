import type {
  Credentials,
  DescriptorFacts,
  MountFacts,
  ProcessFacts,
  SandboxFacts,
  UnitFacts,
} from '../../src/audit/facts.ts';
import { parseMounts } from '../../src/audit/proc-text.ts';
import type { Isolation } from '../../src/declare/declaration.ts';
import { payloadEnvironment } from '../../src/plan/init-command.ts';
import type { PluginPlan, SandboxPlan } from '../../src/plan/plan.ts';
import { planSandbox } from '../../src/plan/plan-sandbox.ts';
import { OVERHEAD } from '../../src/unit/overhead.ts';
import { transientUnit } from '../../src/unit/transient-unit.ts';
import { examplePlan } from './plans.ts';

/** A plan with one listener, and what a machine shows of its sandbox when all is as planned. */
export interface Healthy {
  readonly plugin: PluginPlan;
  readonly plan: SandboxPlan;
  readonly facts: SandboxFacts;
  readonly unit: UnitFacts;
}

const BASE = 1_073_741_824;
const INIT = 100;
const MAIN = 101;

export function healthySandbox(isolation: Isolation = 'nspawn'): Healthy {
  const example = examplePlan({ isolation });
  const plugin: PluginPlan = {
    ...example,
    listeners: [
      {
        key: 'hello/tcp/127.0.0.1/8081',
        listen: { kind: 'tcp', host: '127.0.0.1', port: 8081, name: 'web', backlog: 128 },
      },
    ],
    limits: { ...example.limits, memoryMax: 1 << 26, memoryHigh: 1 << 25, cpuQuotaPerSecUsec: 500_000 },
  };
  const paths = {
    lib: '/usr/lib/bulkhead',
    etc: '/etc/bulkhead',
    run: '/run/bulkhead',
    state: '/var/lib/bulkhead/state',
    versions: '/opt/plugin',
    nspawn: '/usr/bin/systemd-nspawn',
  };
  const plan = planSandbox(plugin, { slot: 'a', generation: 1, uidBase: BASE }, paths);
  const init = process(plan, { pid: INIT, parent: 99, innerPid: 1, name: 'plugin-init' });
  const main = process(plan, {
    environment: [
      ...Object.entries(payloadEnvironment(plugin.declaration, plan.machine)).map(
        ([name, value]) => `${name}=${value}`,
      ),
      ...['LISTEN_FDS=1', 'LISTEN_PID=2', 'LISTEN_FDNAMES=web'],
    ],
  });
  return {
    plugin,
    plan,
    unit: {
      properties: {
        LoadState: 'loaded',
        MainPID: 99,
        ...Object.fromEntries(transientUnit(plan).properties.map(([name, , value]) => [name, value])),
      },
      filterGiven: 'f'.repeat(64),
      filterCompiled: 'f'.repeat(64),
    },
    facts: {
      init: {
        ...init,
        credentials: [
          credentials({
            uids: Array(4).fill(BASE),
            gids: Array(4).fill(BASE),
            seccompMode: 0,
            seccompFilters: 0,
            capabilities: [0n, 32n, 32n, 0n, 0n],
          }),
        ],
      },
      initParentUnit: isolation === 'nspawn' ? plan.unit : 'bulkhead-spawner.service',
      mainPid: MAIN,
      processes: [main, process(plan, { pid: 102, parent: MAIN, innerPid: 3, name: 'worker' })],
      unread: [],
      hostNamespaces: {
        pid: 'pid:[1]',
        mnt: 'mnt:[1]',
        net: 'net:[1]',
        ipc: 'ipc:[1]',
        uts: 'uts:[1]',
        user: 'user:[1]',
        cgroup: 'cgroup:[1]',
      },
      besidePayload: isolation === 'nspawn' ? [99] : [],
      mounts: isolation === 'nspawn' ? mounts(plan) : boxMounts(plan),
      hostMounts: new Set(['/', '/usr/local']),
      same: new Map(plan.mounts.filter(({ kind }) => kind !== 'tmpfs').map(({ target }) => [target, true])),
      stateRoom: null,
      plannedRoot: '44:7',
      forwarders: [],
      adapter: undefined,
      prober: undefined,
      listening: new Map(),
      interfaces: [{ name: 'lo', idle: true }],
      sockets: new Map([
        ['11', 'journal'],
        ['12', 'listener'],
        ['13', 'accepted'],
        ['14', 'inside'],
      ]),
      guardedPipes: new Set(['pipe:[900]']),
      cgroupFiles: {
        'memory.max': String((1 << 26) + OVERHEAD[isolation].memory),
        'memory.high': String((1 << 25) + OVERHEAD[isolation].memory),
        'memory.swap.max': '0',
        'cpu.max': '50000 100000',
        'cpu.weight': '100',
        'pids.max': String(50 + OVERHEAD[isolation].tasks),
        'io.weight': 'default 100',
        'io.max': '',
      },
      disks: new Map(),
    },
  };
}

export function credentials(fields: Partial<Credentials> = {}): Credentials {
  return {
    uids: Array(4).fill(BASE + 1000),
    gids: Array(4).fill(BASE + 1000),
    groups: [],
    capabilities: [0n, 0n, 0n, 0n, 0n],
    noNewPrivs: true,
    seccompMode: 2,
    seccompFilters: 1,
    ...fields,
  };
}

function process(plan: SandboxPlan, fields: Partial<ProcessFacts>): ProcessFacts {
  return {
    pid: MAIN,
    parent: INIT,
    innerPid: 2,
    name: 'main',
    credentials: [credentials()],
    namespaces: {
      pid: 'pid:[2]',
      mnt: 'mnt:[2]',
      net: 'net:[2]',
      ipc: 'ipc:[2]',
      uts: 'uts:[2]',
      user: 'user:[2]',
      cgroup: 'cgroup:[2]',
    },
    cgroup: plan.payloadCgroup,
    uidMap: `0 ${BASE} 65536`,
    gidMap: `0 ${BASE} 65536`,
    oomScoreAdj: 1000,
    openFiles: [1024, 1024],
    memoryLock: [65_536, 65_536],
    coreSize: [0, 0],
    environment: [],
    descriptors: [
      descriptor(0, '/dev/null', { mount: 3, device: '1:3' }),
      ...['socket:[11]', 'socket:[11]', 'socket:[12]', 'socket:[13]', 'socket:[14]'].map((to, fd) =>
        descriptor(fd + 1, to),
      ),
      descriptor(6, 'anon_inode:[eventpoll]'),
      descriptor(7, 'pipe:[901]'),
      descriptor(8, '/plugin/main', { mount: 75 }),
      descriptor(9, '/memfd:heap (deleted)', { mount: 5, nameless: true }),
      descriptor(10, 'net:[2]'),
    ],
    root: '44:7',
    ...fields,
  };
}

export function descriptor(fd: number, target: string, fields: Partial<DescriptorFacts> = {}): DescriptorFacts {
  return { fd, target, mount: undefined, device: undefined, nameless: false, ...fields };
}

/** As systemd 257 makes them and init closes them, with a file system that the host has at /usr/local. */
function mounts(plan: SandboxPlan): MountFacts[] {
  return parseMounts(`
73 72 0:44 /bulkhead/skeleton / ro,nosuid,nodev,relatime - tmpfs tmpfs rw,mode=755
74 73 0:89 / /sys ro,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=4096k
98 73 0:90 / /dev ro,nosuid - tmpfs tmpfs rw,size=4096k
76 98 0:91 / /dev/shm rw,nosuid,nodev shared:199 - tmpfs tmpfs rw,size=2468412k
170 76 0:94 / /dev/shm rw,nosuid,nodev shared:200 - tmpfs tmpfs rw,size=65536k
229 73 0:92 / /run ro,nosuid,nodev - tmpfs tmpfs rw,size=4936820k
265 229 0:40 /usr/lib/bulkhead/plugin-init /run/plugin-init ro,relatime master:1 - ext4 /dev/vda rw
266 229 0:120 /plugin-hello-a-g1.service /run/bulkhead/activity rw,nosuid,nodev,noexec,relatime master:4 - tmpfs tmpfs rw,size=16384k
75 73 254:0 /opt/plugin/hello/v1 /plugin ro,relatime shared:212 master:3 - ext4 /dev/vda rw
306 73 0:95 / /tmp rw,nosuid,nodev shared:213 - tmpfs tmpfs rw,size=65536k
307 73 0:40 /usr /usr ro,relatime shared:214 master:1 - ext4 /dev/vda rw
308 307 0:41 / /usr/local ro,relatime shared:214 master:1 - ext4 /dev/vdb rw
309 73 0:98 / /proc rw,nosuid,nodev,noexec,relatime shared:215 - proc proc rw
311 309 0:98 /sys/net /proc/sys/net rw,nosuid,nodev,noexec shared:215 - proc proc rw
312 309 0:98 /sys/net /proc/sys/net rw,nosuid,nodev,noexec shared:215 - proc proc rw
313 309 0:92 /host/inaccessible/reg /proc/keys ro,nosuid,nodev,noexec shared:203 - tmpfs tmpfs rw,size=4936820k
230 229 0:92 /host /run/host ro,nosuid,nodev,noexec - tmpfs tmpfs rw,size=4936820k
321 74 0:38 ${plan.payloadCgroup} /sys/fs/cgroup ro,nosuid,nodev,noexec - cgroup2 cgroup rw
322 74 0:110 / /sys ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=4k,nr_inodes=8
323 322 0:38 ${plan.payloadCgroup} /sys/fs/cgroup ro,nosuid,nodev,noexec - cgroup2 cgroup rw
324 230 0:111 / /run/host ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=4k,nr_inodes=1
`);
}

/** As the spawner makes them. */
function boxMounts(plan: SandboxPlan): MountFacts[] {
  return parseMounts(`
400 399 0:44 /bulkhead/skeleton / ro,nosuid,nodev,relatime - tmpfs tmpfs rw,mode=755
401 400 0:98 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
402 401 0:99 /file /proc/keys ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=4k,nr_inodes=8
403 401 0:99 /directory /proc/scsi ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=4k,nr_inodes=8
404 401 0:98 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw
405 404 0:99 /boot-id /proc/sys/kernel/random/boot_id ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=4k,nr_inodes=8
406 400 0:100 / /sys ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=4k,nr_inodes=8
407 400 0:101 / /dev ro,nosuid,nodev,noexec,relatime - tmpfs none rw,size=64k,nr_inodes=512
408 407 0:5 /null /dev/null ro,nosuid,noexec,relatime - devtmpfs devtmpfs rw
409 400 0:102 / /run rw,nosuid,nodev,relatime - tmpfs none rw,size=1024k,nr_inodes=1024
410 409 0:40 /usr/lib/bulkhead/plugin-init /run/plugin-init ro,nosuid,nodev,relatime - ext4 /dev/vda rw
416 409 0:120 /plugin-hello-a-g1.scope /run/bulkhead/activity rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=16384k
75 400 254:0 /opt/plugin/hello/v1 /plugin ro,nosuid,nodev,relatime - ext4 /dev/vda rw
411 400 0:40 /usr /usr ro,nosuid,nodev,relatime - ext4 /dev/vda rw
412 411 0:41 / /usr/local ro,nosuid,nodev,relatime - ext4 /dev/vdb rw
413 400 0:103 / /tmp rw,nosuid,nodev,relatime - tmpfs none rw,size=65536k,nr_inodes=16384
414 407 0:104 / /dev/shm rw,nosuid,nodev,relatime - tmpfs none rw,size=65536k,nr_inodes=16384
415 406 0:38 ${plan.payloadCgroup} /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 none rw
`);
}
