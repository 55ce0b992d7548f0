import { type Break, both, init, list, live, nspawn, spawner, told, unitSettings } from './breakage.ts';
import type { Kind } from './kind.ts';

/** A wall, how it is broken, and which attempts come to something else then; no others do. */
export interface BrokenWall {
  readonly wall: string;
  readonly break: Break;
  /** Names of attempts. */
  readonly lets: readonly RegExp[];
  /** These do or do not, as the kernel is built and the host set up. */
  readonly may?: readonly RegExp[];
}

/** Places of the host that are none of a payload's. */
const HOST_PLACES = [
  '/run/bulkhead/sandbox',
  '/run/bulkhead/launch.sock',
  '/run/bulkhead/anchor.sock',
  '/run/systemd',
  '/run/dbus',
  '/run/plugin',
  '/run/hostile-secret',
  '/run/hostile-host.sock',
];
const MORE_FILES = 16384;

/** Where the ids inside are not those for which it was made, the page is somebody else's. */
const OWN_PAGE = /^more room than its activity page may have$/;

const WHAT_IT_IS = /^what it is$|^a set-uid program of /;
const ROOT_OF_SANDBOX = [
  /for init(?: by its pidfd)?$/,
  /^open \/proc\/1\/(?:fd|stack|syscall|io|map_files|oom_score_adj|clear_refs|coredump_filter|uid_map|comm) /,
  WHAT_IT_IS,
  /^a signal for the thread of init$/,
  /^a file that belongs to somebody else$/,
  /^everything that can be written$/,
];
const NEW_IN_RUN = /^a new file in \/run$|^another file beside its activity page$/;
/** Root of the sandbox may write to what is mounted read-only. */
const OF_CGROUP = /^open \/sys\/fs\/cgroup\/cgroup\.(?:procs|threads|subtree_control) /;
/** What is hidden in /proc. */
const IN_PROC = [
  /^open \/proc\/(?:kallsyms|keys|timer_list|kmsg|slabinfo|kpageflags|vmallocinfo) /,
  /^open \/proc\/sys\/kernel\/ns_last_pid /,
  /^everything that can be written$/,
];
const ALL_CAPABILITIES = [
  ...ROOT_OF_SANDBOX,
  /^open \/proc\/1\//,
  /^where \/proc\/1\//,
  /^to leave the root by the root of init$/,
  /^open \/plugin\/to-proc /,
  /^a socket for (?:raw|packets)/,
  /^a mark on what it sends$/,
  /^an address that is not its own$/,
];
const IN_VIEW = [
  /^to leave the root (?:by its parent|from|by the working)/,
  /^open \/run\/(?:bulkhead|systemd|dbus|plugin)(?:\/sandbox)? /,
  /^open \/plugin\/to-(?:secret|climb) /,
  /^to connect to \/run\//,
  /^to connect to (?:a socket of the host|the neighbour's socket|its own socket from outside)$/,
  /^every socket that there is$/,
  /^a name in the place of/,
];
const BY_NETWORK = [
  /^to connect to (?:an abstract socket of the host|a port of the host|the neighbour's port)$/,
  /^the address of a port of the neighbour$/,
];
const IN_ROOT = [/^open (?:\/(?:etc|var|home|root))?\/hostile /, /, in the root$/];
const IN_VERSION = [
  / of its version(?: that everybody may write| by \/proc\/self\/fd|, where it can be written| away)?$/,
  /^a new file in its version where/,
  /^everything that can be written$/,
  /^open \/(?:usr|usr\/bin|bin)\/hostile /,
];
const CALLS_LET = list('native', 'mount  # nobody needs it', 'setns  # as above');
const WITH_MOUNT_AND_SETNS = [
  /^(?:a tmpfs|a proc of its own|the host's cgroups|a cgroup hierarchy of old|an overlay|a bind of the root)/,
  /^(?:\/ writable|\/plugin writable|mounts that reach|a disk of the host|to enter (?:its|all))/,
];

const OTHER_PROCESSES: BrokenWall = {
  // Its root cannot mount the host's, so that is done from outside.
  wall: 'a /proc that shows its own processes only',
  break: live(({ initPid }) => ['nsenter', `--mount=/proc/${initPid}/ns/mnt`, 'mount', '-t', 'proc', 'none', '/proc']),
  lets: [
    /^(?:the environment|memory|the root) of a process of the host$/,
    /^the (?:environment|oom score|descriptors) of the neighbour$/,
    /^all processes there are$/,
  ],
  may: IN_PROC,
};

/** With systemd-nspawn: by other words for it, by another init, or by systemd's settings. */
const NSPAWN: readonly BrokenWall[] = [
  {
    wall: 'a user namespace',
    break: nspawn({ words: { '--private-users=*': '--private-users=1:65536' } }),
    lets: [/of-host-user/],
    may: [OWN_PAGE],
  },
  {
    wall: 'ids that no other sandbox has',
    break: nspawn({
      words: ({ neighbour }) => ({ '--private-users=*': `--private-users=${neighbour.uidBase}:65536` }),
    }),
    lets: [/of-neighbour/],
    may: [OWN_PAGE],
  },
  OTHER_PROCESSES,
  {
    wall: 'an IPC namespace',
    break: nspawn({ environment: 'SYSTEMD_NSPAWN_SHARE_NS_IPC=1' }),
    lets: [/of System V, by \/proc$/],
  },
  {
    wall: 'a UTS namespace',
    break: nspawn({ environment: 'SYSTEMD_NSPAWN_SHARE_NS_UTS=1' }),
    lets: [/^the host's name$/],
  },
  {
    wall: 'a cgroup namespace',
    break: nspawn({ environment: 'SYSTEMD_NSPAWN_USE_CGNS=0' }),
    lets: [/^the way to its cgroup on the host$/],
  },
  {
    wall: 'a network namespace',
    break: nspawn({ words: { '--private-network': '' } }),
    lets: BY_NETWORK,
  },
  {
    wall: 'what nspawn leaves open',
    break: init('view'),
    lets: [
      /^what is in \/sys\/kernel\/(?:debug|tracing|security)$/,
      /^a cgroup of its own$/,
      NEW_IN_RUN,
      /^a new file in \/(?:dev|dev\/pts)$/,
      /^a socket that the host sees/,
      /^nspawn's notification socket$/,
    ],
    may: IN_PROC,
  },
  {
    wall: 'a uid that is not root',
    break: init('ids'),
    lets: [...ROOT_OF_SANDBOX, OF_CGROUP, /in \/tmp$/],
    may: [OWN_PAGE, ...IN_PROC],
  },
  { wall: 'no groups', break: init('groups'), lets: [WHAT_IT_IS] },
  {
    wall: 'no capabilities',
    break: both(init('capabilities'), nspawn({ words: { '--drop-capability=*': '' } })),
    lets: [...ALL_CAPABILITIES, OF_CGROUP, /^a program with capabilities$/],
    may: IN_PROC,
  },
  {
    wall: 'no new privileges',
    break: both(
      init('no-new-privs'),
      unitSettings('NoNewPrivileges=no'),
      nspawn({ words: { '--no-new-privileges=yes': '--no-new-privileges=no', '--drop-capability=*': '' } }),
    ),
    lets: [WHAT_IT_IS],
  },
  {
    wall: 'what it sees of files',
    break: nspawn({
      words: { '--read-only': `--read-only ${HOST_PLACES.map((path) => `--bind-ro=${path}`).join(' ')}` },
    }),
    lets: IN_VIEW,
  },
  {
    wall: 'a read-only root',
    break: nspawn({ words: { '--read-only': '' }, environment: 'SYSTEMD_NSPAWN_LOCK=0' }),
    lets: IN_ROOT,
  },
  {
    wall: 'a read-only version',
    break: nspawn({ words: { '--bind-ro=*': '"$(echo "$word" | sed s/^--bind-ro=/--bind=/)"' } }),
    lets: IN_VERSION,
  },
  {
    wall: 'a size of /tmp',
    break: nspawn({ words: { '--tmpfs=*': '"$(echo "$word" | sed s/,size=.*//)"' } }),
    lets: [/may hold$/],
  },
  {
    wall: 'no devices',
    break: unitSettings('DevicePolicy=auto'),
    lets: [/^the node of (?:fuse|loop-control|tun) /],
    may: [/^the node of /],
  },
  {
    wall: 'a number of open files',
    break: both(
      unitSettings(`LimitNOFILE=${MORE_FILES}`),
      nspawn({
        words: { '--rlimit=NOFILE=*': `--rlimit=NOFILE=${MORE_FILES}`, '--nofile=*': `--nofile=${MORE_FILES}` },
      }),
    ),
    lets: [/^descriptors without end$/, /^a higher limit of open files$/],
  },
  {
    wall: 'a score for when memory runs out',
    break: init('oom-score'),
    lets: [/^its oom score$/],
    may: [/^a lower oom score$/],
  },
  { wall: 'descriptors that are closed', break: init('descriptors'), lets: [/^every descriptor/] },
  { wall: 'an environment of its own', break: init('environment'), lets: [/^variables that are none/] },
  { wall: 'two calls of the filter', break: CALLS_LET, lets: WITH_MOUNT_AND_SETNS },
];

/** With the spawner: by another one, or by another init. */
const SCOPE: readonly BrokenWall[] = [
  { wall: 'a user namespace', break: spawner('user-namespace'), lets: [/of-host-user/], may: [OWN_PAGE] },
  {
    wall: 'ids that no other sandbox has',
    break: both(
      told('/run/hostile-id-base', ({ neighbour }) => String(neighbour.uidBase)),
      spawner('id-range'),
    ),
    lets: [/of-neighbour/],
    may: [OWN_PAGE],
  },
  OTHER_PROCESSES,
  { wall: 'an IPC namespace', break: spawner('ipc-namespace', 'PrivateIPC=no'), lets: [/of System V, by \/proc$/] },
  { wall: 'a UTS namespace', break: spawner('uts-namespace'), lets: [/^the host's name$/] },
  {
    wall: 'a cgroup namespace',
    break: spawner('cgroup-namespace'),
    lets: [/^open \/sys\/fs\/cgroup\/cgroup\./, /^the way to its cgroup on the host$/],
  },
  { wall: 'a network namespace', break: spawner('network-namespace'), lets: BY_NETWORK },
  {
    wall: 'a uid that is not root',
    break: init('ids'),
    lets: [...ROOT_OF_SANDBOX, NEW_IN_RUN, /^a program with capabilities$/, /in \/tmp$/],
    may: [OWN_PAGE],
  },
  { wall: 'no groups', break: init('groups'), lets: [WHAT_IT_IS, /^a program with capabilities$/] },
  {
    wall: 'no capabilities',
    break: both(init('capabilities'), spawner('capabilities')),
    lets: [...ALL_CAPABILITIES, NEW_IN_RUN, /^a program with capabilities$/],
    may: IN_PROC,
  },
  {
    wall: 'no new privileges',
    break: both(init('no-new-privs'), spawner('no-new-privs', 'NoNewPrivileges=no')),
    lets: [WHAT_IT_IS, /^a program with capabilities$/],
  },
  { wall: 'what it sees of files', break: spawner('view'), lets: IN_VIEW },
  { wall: "the kernel's settings", break: spawner('proc-masks'), lets: [/^open \/proc\/keys /], may: IN_PROC },
  {
    wall: 'a read-only view',
    break: spawner('read-only', 'ProtectSystem=no'),
    lets: [...IN_ROOT, ...IN_VERSION, /^a new file in \/dev$/],
    may: IN_PROC,
  },
  { wall: 'a size of /tmp', break: spawner('tmp-size'), lets: [/may hold$/] },
  { wall: 'no devices in mounts', break: spawner('nodes'), lets: [/^the node of /] },
  { wall: 'a read-only cgroup', break: spawner('cgroup-read-only'), lets: [/^a cgroup of its own$/] },
  {
    wall: 'a number of open files',
    break: both(init('open-files'), spawner('open-files')),
    lets: [/^descriptors without end$/, /^a higher limit of open files$/],
  },
  {
    wall: 'a score for when memory runs out',
    break: both(init('oom-score'), spawner('oom-score')),
    lets: [/^its oom score$/],
    may: [/^a lower oom score$/],
  },
  { wall: 'descriptors that are closed', break: init('descriptors'), lets: [/^every descriptor/] },
  { wall: 'an environment of its own', break: init('environment'), lets: [/^variables that are none/] },
  { wall: 'two calls of the filter', break: CALLS_LET, lets: WITH_MOUNT_AND_SETNS },
];

export const BROKEN_WALLS: Readonly<Record<Kind, readonly BrokenWall[]>> = { nspawn: NSPAWN, scope: SCOPE };
