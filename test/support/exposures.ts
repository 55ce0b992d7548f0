/** What systemd-analyze(1) security counts against one of our units, and why it stays so. */
export interface Exposures {
  /** As `docs/security.md` has it. */
  readonly title: string;
  /** The most that is accepted; 0 is best, 10 is worst. */
  readonly most: number;
  readonly accepted: readonly Accepted[];
}

export interface Accepted {
  /** Settings as systemd-analyze names them; '*' stands for any rest. */
  readonly settings: readonly string[];
  readonly why: string;
}

const FILTERS = [
  'SystemCallFilter=*',
  'SystemCallArchitectures=',
  'RestrictNamespaces=*',
  'RestrictAddressFamilies=*',
  'RestrictRealtime=',
  'RestrictSUIDSGID=',
  'LockPersonality=',
  'MemoryDenyWriteExecute=',
  'ProtectHostname=',
  'ProtectClock=',
  'ProtectKernelModules=',
  'ProtectKernelLogs=',
];

const NOTHING_OF_ITS_OWN =
  'A root of its own would show it less of what everybody may read, and has to be kept up to date.';

export const EXPOSURES: Readonly<
  Record<'supervisor' | 'anchor' | 'spawner' | 'node' | 'check' | 'sandbox', Exposures>
> = {
  supervisor: {
    title: '`bulkheadd.service`, the supervisor',
    most: 4,
    accepted: [
      {
        settings: ['User=/DynamicUser=', 'PrivateUsers='],
        why: 'Starting units and owning the name on the bus takes root.',
      },
      {
        settings: [
          'CapabilityBoundingSet=~CAP_KILL',
          'CapabilityBoundingSet=~CAP_SYS_PTRACE',
          'ProtectProc=',
          'ProcSubset=',
        ],
        why: 'It looks at the processes of sandboxes, and ends them.',
      },
      {
        settings: [
          'CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)',
          'CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)',
        ],
        why: 'It makes socket files for other users, in directories of other users.',
      },
      { settings: ['ProtectControlGroups='], why: "It ends a payload by its group's `cgroup.kill`." },
      {
        settings: [
          'CapabilityBoundingSet=~CAP_NET_(BIND_SERVICE|BROADCAST|RAW)',
          'PrivateNetwork=',
          'IPAddressDeny=',
          'RestrictAddressFamilies=~AF_UNIX',
          'RestrictAddressFamilies=~AF_(INET|INET6)',
        ],
        why: 'It makes the sockets that plugins serve. It does not connect to anything but local ones.',
      },
      {
        settings: ['ProtectHome=', 'PrivateTmp=', 'RootDirectory=/RootImage='],
        why: 'Roots and versions of plugins are checked as the host sees them.',
      },
      { settings: ['MemoryDenyWriteExecute='], why: 'The compiler of Node.js writes code.' },
      {
        settings: ['SystemCallFilter=~@privileged', 'SystemCallFilter=~@debug'],
        why: 'chown(2) for socket files; pidfd_getfd(2) takes back a listener that was lost.',
      },
      { settings: ['DeviceAllow='], why: '`PrivateDevices=` and `ProtectClock=` let it read the clock device.' },
    ],
  },
  anchor: {
    title: '`plugin@NAME.service`, the anchor',
    most: 1.5,
    accepted: [
      { settings: ['RootDirectory=/RootImage='], why: NOTHING_OF_ITS_OWN },
      { settings: ['RestrictAddressFamilies=~AF_UNIX'], why: 'It speaks to the supervisor and to systemd.' },
      { settings: ['DeviceAllow='], why: '`PrivateDevices=` and `ProtectClock=` let it read the clock device.' },
    ],
  },
  spawner: {
    title: '`bulkhead-spawner.service`, which makes sandboxes without nspawn',
    most: 6.8,
    accepted: [
      { settings: ['RootDirectory=/RootImage=', 'PrivateTmp=', 'ProtectHome='], why: 'It copies mounts of the host.' },
      {
        settings: [
          'User=/DynamicUser=',
          'PrivateUsers=',
          'CapabilityBoundingSet=~CAP_SYS_ADMIN',
          'CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)',
          'CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)',
          'CapabilityBoundingSet=~CAP_KILL',
          'CapabilityBoundingSet=~CAP_SYS_(NICE|RESOURCE)',
        ],
        why: 'Making namespaces, mapping ids, copying mounts, setting OOM scores and giving up the bounding set of forwarders takes these.',
      },
      {
        settings: FILTERS,
        why: "Filters are inherited: this one would be a second one of every plugin, with other rules. A plugin's own is narrower.",
      },
      {
        settings: ['ProtectKernelTunables=', 'ProtectProc=', 'ProcSubset='],
        why: 'The kernel lets a sandbox have a /proc only where all of it is visible.',
      },
      { settings: ['PrivateDevices='], why: 'Plugins may be given device nodes of the host.' },
      { settings: ['PrivateNetwork='], why: "A plugin with the host's network has it from here." },
    ],
  },
  node: {
    title: '`bulkhead-node.service`, one look at the node',
    most: 1.2,
    accepted: [
      { settings: ['RootDirectory=/RootImage='], why: NOTHING_OF_ITS_OWN },
      {
        settings: ['PrivateDevices=', 'DeviceAllow=', 'PrivateUsers='],
        why: 'It asks drivers of GPUs, as a user whom the modes of their devices let.',
      },
      { settings: ['ProcSubset='], why: 'Memory and load are in /proc.' },
      {
        settings: ['SupplementaryGroups='],
        why: 'Errors of GPUs are in the log of the kernel, which the group systemd-journal reads.',
      },
      {
        settings: ['RestrictAddressFamilies=~AF_UNIX'],
        why: 'Node.js talks to the programs that it runs over sockets.',
      },
      { settings: ['MemoryDenyWriteExecute='], why: 'The compiler of Node.js writes code.' },
      {
        settings: ['SystemCallFilter=~@resources', 'SystemCallFilter=~@privileged'],
        why: 'Tools of vendors are not known to do without; it has no privilege that these calls would use.',
      },
    ],
  },
  check: {
    title: '`bulkhead-check@ID.service`, which compares a version with what was installed',
    most: 0.8,
    accepted: [
      { settings: ['RootDirectory=/RootImage='], why: NOTHING_OF_ITS_OWN },
      {
        settings: ['User=/DynamicUser=', 'PrivateUsers='],
        why: "What is known of versions is root's alone, and it tells whose the files are. It has no capability.",
      },
      { settings: ['MemoryDenyWriteExecute='], why: 'The compiler of Node.js writes code.' },
      { settings: ['ProcSubset='], why: 'Node.js reads how much memory there is.' },
      { settings: ['DeviceAllow='], why: '`PrivateDevices=` and `ProtectClock=` let it read the clock device.' },
    ],
  },
  sandbox: {
    title: '`plugin-NAME-a-gN.service`, a sandbox made by nspawn',
    most: 8,
    accepted: [
      {
        settings: [
          'User=/DynamicUser=',
          'PrivateUsers=',
          'CapabilityBoundingSet=~CAP_SYS_ADMIN',
          'CapabilityBoundingSet=~CAP_SET(UID|GID|PCAP)',
          'CapabilityBoundingSet=~CAP_(CHOWN|FSETID|SETFCAP)',
          'CapabilityBoundingSet=~CAP_(DAC_*|FOWNER|IPC_OWNER)',
          'CapabilityBoundingSet=~CAP_MKNOD',
          'CapabilityBoundingSet=~CAP_SYS_CHROOT',
          'CapabilityBoundingSet=~CAP_SYS_PTRACE',
        ],
        why: 'nspawn needs these to mount, map ids, make device nodes and find the namespaces of its child. With an allow-list the unit has CAP_SETPCAP, too, by which the forwarder gives up all others. The payload has none of them (`CapabilityBoundingSet=` is of the host; the sandbox has a user namespace of its own).',
      },
      {
        settings: FILTERS,
        why: 'nspawn makes namespaces and mounts, which these forbid; and filters are inherited, so that each would be one more of the payload, beside its own, which is narrower than all of them.',
      },
      {
        settings: [
          'ProtectSystem=',
          'ProtectHome=',
          'PrivateTmp=',
          'PrivateMounts=',
          'ProtectProc=',
          'ProcSubset=',
          'ProtectKernelTunables=',
          'RootDirectory=/RootImage=',
        ],
        why: 'A view of its own for nspawn, which CAP_SYS_ADMIN undoes at will, and which took some 15 ms more at each start; with some of them it does not start. What the payload sees is said by `view`.',
      },
      {
        settings: ['ProtectControlGroups=', 'Delegate='],
        why: "nspawn makes groups below the unit's own; it fails with a read-only tree.",
      },
      {
        settings: ['PrivateDevices='],
        why: 'nspawn makes device nodes (mknod(2) fails with it). `DevicePolicy=closed` limits their use.',
      },
      {
        settings: ['PrivateNetwork=', 'IPAddressDeny='],
        why: 'nspawn itself uses no network; the payload has a namespace of its own, or what `network` declares.',
      },
    ],
  },
};

/** The section of `docs/security.md` that says the same. */
export function exposuresText(): string {
  return Object.values(EXPOSURES)
    .map(({ title, most, accepted }) => {
      const rows = accepted.map(({ settings, why }) => `| ${settings.map(shown).join(', ')} | ${why} |`);
      return [`${title}: ${most} at most.`, '', '| not taken away | because |', '|---|---|', ...rows].join('\n');
    })
    .join('\n\n');
}

/** A '|' would end the cell of the table. */
function shown(setting: string): string {
  return `\`${setting.replaceAll('|', '\\|')}\``;
}
