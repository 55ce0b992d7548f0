/** Kinds of namespaces that a sandbox has of its own; names as in /proc/PID/ns (namespaces(7)). */
export const NAMESPACES = ['pid', 'mnt', 'net', 'ipc', 'uts', 'user', 'cgroup'] as const;

export type Namespaces = Readonly<Record<(typeof NAMESPACES)[number], string>>;

/** What the kernel keeps for each thread, from /proc/PID/task/TID/status (proc_pid_status(5)). */
export interface Credentials {
  /** Real, effective, saved, file system. */
  readonly uids: readonly number[];
  readonly gids: readonly number[];
  readonly groups: readonly number[];
  /** Inheritable, permitted, effective, bounding, ambient. */
  readonly capabilities: readonly bigint[];
  readonly noNewPrivs: boolean;
  readonly seccompMode: number;
  /** Null on kernels before 5.9, which do not tell. */
  readonly seccompFilters: number | null;
}

export interface DescriptorFacts {
  readonly fd: number;
  /** Where the link in /proc/PID/fd leads: a path, `socket:[INODE]`, `pipe:[INODE]`, `anon_inode:[KIND]`. */
  readonly target: string;
  /** Of a path: the mount that it was opened through (fdinfo, mnt_id). */
  readonly mount: number | undefined;
  /** Of a character device: `MAJOR:MINOR`. */
  readonly device: string | undefined;
  /** Of a path: a file without a name any more, or that never had one (memfd_create(2)). */
  readonly nameless: boolean;
}

/** One process, seen from the host. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  /** Pid inside its innermost pid namespace. */
  readonly innerPid: number;
  readonly name: string;
  /** Those of all threads, each set of values once. */
  readonly credentials: readonly Credentials[];
  readonly namespaces: Namespaces;
  readonly cgroup: string;
  readonly uidMap: string;
  readonly gidMap: string;
  readonly oomScoreAdj: number;
  /** Soft and hard RLIMIT_NOFILE, RLIMIT_MEMLOCK and RLIMIT_CORE (bytes); Infinity for none. */
  readonly openFiles: readonly [number, number];
  readonly memoryLock: readonly [number, number];
  readonly coreSize: readonly [number, number];
  readonly environment: readonly string[];
  readonly descriptors: readonly DescriptorFacts[];
  /** `DEVICE:INODE` of its root directory. */
  readonly root: string;
}

/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), unescaped. */
export interface MountFacts {
  readonly id: number;
  /** The part of the file system that is mounted. */
  readonly root: string;
  readonly target: string;
  readonly options: readonly string[];
  readonly type: string;
  readonly superOptions: readonly string[];
}

/**
 * Where a socket belongs: `inside` it was made in the sandbox's network namespace; `listener` the plugin's own;
 * `accepted` a connection that came in by one; `journal` the sandbox's standard output; `host` another one of the
 * host's; `nowhere` in no table of either (neither bound nor connected, or of a protocol without a table).
 */
export type SocketOrigin = 'inside' | 'listener' | 'accepted' | 'journal' | 'host' | 'nowhere';

/** All that is seen of one living sandbox. */
export interface SandboxFacts {
  readonly init: ProcessFacts;
  /** Unit of init's parent. */
  readonly initParentUnit: string | undefined;
  /** Main process of the payload: the oldest child of init. */
  readonly mainPid: number;
  /** All but init, the adapter and the prober: what is in its cgroup, and what shares a namespace with init. */
  readonly processes: readonly ProcessFacts[];
  /** What was too much to be read; empty when all was. */
  readonly unread: readonly string[];
  /** Those of PID 1. */
  readonly hostNamespaces: Namespaces;
  /** Pids of the unit that are not in its payload group. */
  readonly besidePayload: readonly number[];
  readonly mounts: readonly MountFacts[];
  /** Where the host has mounts. */
  readonly hostMounts: ReadonlySet<string>;
  /** Of the planned root and binds: whether they are the very file or directory that was planned. */
  readonly same: ReadonlyMap<string, boolean>;
  /** Bytes that the state directory can hold, as it shows itself; null when there is none. */
  readonly stateRoom: number | null;
  /** `DEVICE:INODE` of the planned root directory. */
  readonly plannedRoot: string;
  /** The forwarder outside and its reader, by their ids; and the adapter inside, where one is planned. */
  readonly forwarders: readonly ProcessFacts[];
  readonly adapter: ProcessFacts | undefined;
  /** Who asks by probes; the processes that it asks with are not among the others. */
  readonly prober: ProcessFacts | undefined;
  /** Inode numbers of sockets that listen in the sandbox's network, by `HOST:PORT`, IPv6 in brackets. */
  readonly listening: ReadonlyMap<string, string>;
  /** Network interfaces; `idle`: not one byte went through. */
  readonly interfaces: readonly { readonly name: string; readonly idle: boolean }[];
  /** By inode number. */
  readonly sockets: ReadonlyMap<string, SocketOrigin>;
  /** Pipes of init and its parent, the report pipe among them; link targets. */
  readonly guardedPipes: ReadonlySet<string>;
  /** Contents of the cgroup's files, trimmed; null for one that is not there. */
  readonly cgroupFiles: Readonly<Record<string, string | null>>;
  /** Paths of `limits.io` -> `MAJOR:MINOR` of the disk that each is on; undefined when there is none behind it. */
  readonly disks: ReadonlyMap<string, string | undefined>;
}

/** What systemd and the supervisor know of the sandbox. */
export interface UnitFacts {
  /** Properties by D-Bus name; 64-bit numbers as numbers or 'infinity'. */
  readonly properties: Readonly<Record<string, unknown>>;
  /** SHA-256 of the filter that the launcher was handed; null when an earlier supervisor did not note it. */
  readonly filterGiven: string | null;
  /** SHA-256 of what the profile's lists compile to now. */
  readonly filterCompiled: string;
}
