import type {
  Declaration,
  DeclaredCredential,
  DeviceAccess,
  IoLimit,
  Isolation,
  Listen,
  Network,
  Origins,
  RpcAccess,
} from '../declare/declaration.ts';
import type { Probes } from '../declare/probe.ts';
import type { MetricsEndpoint } from '../declare/upgrade.ts';

/** What the plan needs to know of the host; gathered by the doors, so that planning itself stays pure. */
export interface HostFacts {
  /** Bytes of memory of the node. */
  readonly memoryTotal: number;
  readonly cpus: number;
  /** systemd's version, say 257. */
  readonly systemdVersion: number;
  /** Controllers available to units, from cgroup.controllers of the root. */
  readonly cgroupControllers: readonly string[];
  /** Directories and programs of this installation. */
  readonly paths: HostPaths;
  /** Answers for the paths that the declaration names; a path that was not asked about is absent. */
  readonly files: ReadonlyMap<string, 'directory' | 'executable' | 'file' | 'missing'>;
  /** By path: what changes when an image or credential does; absent for a file that cannot be looked at. */
  readonly stamps: ReadonlyMap<string, string>;
  /** Of files that are roots or versions: the format of the image in them; absent when it is none that is known. */
  readonly images: ReadonlyMap<string, ImageFormat>;
  /** What is at the paths of declared devices; absent for what is not there. */
  readonly devices: ReadonlyMap<string, DeviceFacts>;
  /** Names of the seccomp profiles that exist. */
  readonly seccompProfiles: readonly string[];
}

export type ImageFormat = 'squashfs' | 'erofs';

export interface DeviceFacts {
  readonly kind: 'char' | 'block' | 'other';
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface HostPaths {
  /** Read-only installation: `/usr/lib/bulkhead`. */
  readonly lib: string;
  /** What administrators write: `/etc/bulkhead`. */
  readonly etc: string;
  /** Runtime state, gone after a reboot: `/run/bulkhead`. */
  readonly run: string;
  /** State directories of plugins, kept over reboots: `/var/lib/bulkhead/state`. */
  readonly state: string;
  /** Installed versions: `/opt/plugin`. */
  readonly versions: string;
  /** `/usr/bin/systemd-nspawn`. */
  readonly nspawn: string;
}

export type SlotName = 'a' | 'b';

/** Everything that will exist for a plugin, except what differs from sandbox to sandbox. */
export interface PluginPlan {
  readonly plugin: string;
  readonly version: string | undefined;
  readonly declaration: Declaration;
  readonly origins: Origins;
  /** Escaped unit names: `plugin@NAME.service` and `plugin-NAME.slice`. */
  readonly anchorUnit: string;
  readonly sliceUnit: string;
  readonly size: number;
  /** Those that the payload gets, in the order of the declaration, then those that are forwarded to its own ports. */
  readonly listeners: readonly PlannedListener[];
  readonly network: PlannedNetwork;
  /** What the filter is compiled from, as `filterName` makes it. */
  readonly seccomp: string;
  readonly limits: PlannedLimits;
  /** There when `view.root` is an image. */
  readonly image: PlannedImage | undefined;
  /** There when the version is an image. */
  readonly versionImage: PlannedImage | undefined;
  readonly credentials: readonly PlannedCredential[];
  /** 16 hex digits over all that a sandbox is made of; a running sandbox with another digest is outdated. */
  readonly digest: string;
  /** The same over the limits that can be set on what runs (`live-limits.ts`), which `digest` leaves out. */
  readonly limitsDigest: string;
}

/** How new connections are shared out between the slots. */
export interface Weights {
  /** The slot of what serves. */
  readonly live: SlotName;
  /** Percent that the other slot gets, 0 to 100. */
  readonly other: number;
}

/** What each of the two slots has, those that have it. */
export type BySlot<Value> = Readonly<Partial<Record<SlotName, Value>>>;

export interface PlannedListener {
  /** Of a plugin, its address; of a sandbox, the listener of its slot there. Unique on the host; no ':' in it. */
  readonly key: string;
  readonly listen: Listen;
}

/** A sandbox's socket for calls on the host. */
export interface PlannedRpc extends RpcAccess {
  readonly path: string;
}

/**
 * Limits in absolute numbers, as the payload of one sandbox gets them; `infinity` means no limit. The unit's own limits
 * are a little higher (`src/unit/overhead.ts`), because nspawn and init live in the same unit.
 */
export interface PlannedLimits {
  readonly memoryMax: number | 'infinity';
  readonly memoryHigh: number | 'infinity';
  readonly swapMax: number | 'infinity';
  /** Microseconds of CPU per second of wall time. */
  readonly cpuQuotaPerSecUsec: number | 'infinity';
  readonly cpuWeight: number;
  readonly tasksMax: number | 'infinity';
  readonly ioWeight: number;
  readonly io: readonly IoLimit[];
  /** Limits of each process (setrlimit(2)): open files, bytes of locked memory, bytes of a core dump. */
  readonly files: number;
  readonly memoryLock: number | 'infinity';
  readonly core: number | 'infinity';
  /** Messages to the journal that are let through in a time. */
  readonly log: { readonly messages: number; readonly withinMs: number };
}

export interface PlannedImage {
  readonly file: string;
  readonly format: ImageFormat;
  /** Of the file (`HostFacts.stamps`). */
  readonly stamp: string;
}

export interface PlannedCredential extends DeclaredCredential {
  /** Of the file (`HostFacts.stamps`), so that a changed file makes a sandbox outdated. */
  readonly stamp: string;
}

/** What is said of a sandbox that is to be started; the rest is the plan's, and its range of ids. */
export interface StartOrder {
  readonly slot: SlotName;
  readonly generation: number;
  /** It learns, beside the pool. */
  readonly learning: boolean;
  /** It is a spare, ready and without traffic until it is promoted. */
  readonly standby: boolean;
  /** Place in the pool, from 0 on; -1 for one that has none, such as a standby. */
  readonly seat: number;
}

/**
 * Whether a sandbox gets connections: `open`; `held`, as a standby, whose accept(2) waits; `shut`, one that was taken out
 * of traffic and goes on with what it has. One without a gate always gets them.
 */
export type Gate = 'open' | 'held' | 'shut';

/** What tells one sandbox from the next. */
export interface SandboxIdentity {
  readonly slot: SlotName;
  readonly generation: number;
  /** First host uid and gid of its own range of 65536. */
  readonly uidBase: number;
  /** What the payload calls is noted, under a ceiling, instead of being held to the plugin's own filter. */
  readonly learning?: boolean | undefined;
  /** How its gate stands when it starts, if it has one; `open` unless given. */
  readonly gate?: Gate | undefined;
}

/** What a sandbox can reach beside its listeners. */
export interface PlannedNetwork {
  readonly mode: Network['mode'];
  readonly endpoints: readonly PlannedEndpoint[];
}

/** A place that the payload may connect to, as `HOST:PORT`, with brackets around an IPv6 address. */
export interface PlannedEndpoint {
  /** As declared, and what the forwarder connects to. */
  readonly outside: string;
  /** Where the payload finds it; the same for an address. */
  readonly inside: string;
  /** Of a name: itself, and the address that it has in the sandbox. */
  readonly name?: string;
  readonly address?: string;
}

/** One mount that the sandbox sees, apart from what every sandbox has. */
export type PlannedMount = ReadOnlyBind | SlotMount | WritableBind | FileBind | TmpfsMount | DeviceBind;

interface MountCommon {
  /** Absolute path inside; the same one never twice. */
  readonly target: string;
  /** Dotted key of the declaration that decides about it; undefined where bulkhead does. */
  readonly from: string | undefined;
}

/** A file or directory of the host, read-only. */
export interface ReadOnlyBind extends MountCommon {
  readonly kind: 'bind-ro';
  readonly source: string;
}

/** A directory of the host, read-only, which also shows what the host mounts in it later: the tunnel of a slot. */
export interface SlotMount extends MountCommon {
  readonly kind: 'slot';
  readonly source: string;
}

/**
 * A directory of the host, writable, without set-uid programs, devices and executables, and id-mapped: what belongs to
 * uid N on the host belongs to uid N inside.
 */
export interface WritableBind extends MountCommon {
  readonly kind: 'bind';
  readonly source: string;
}

/** An empty file system in memory, writable, without set-uid programs and devices, gone with the sandbox. */
export interface TmpfsMount extends MountCommon {
  readonly kind: 'tmpfs';
  /** Bytes. */
  readonly size: number;
  /** Permission bits of its root. */
  readonly mode: number;
}

/** One file of the host that belongs to the payload's ids there: writable, without set-uid, devices and executables. */
export interface FileBind extends MountCommon {
  readonly kind: 'bind-file';
  readonly source: string;
}

/** A device node of the host. What may be done with it is a matter of the unit's device policy. */
export interface DeviceBind extends MountCommon {
  readonly kind: 'device';
  readonly source: string;
  readonly access: DeviceAccess;
}

/** A mount on the host that has to be there before a sandbox starts; sandboxes share it. */
export interface HostMount {
  /** Where it is; its unit's name follows from it. */
  readonly where: string;
  readonly what: string;
  /** `none` for a bind. */
  readonly type: ImageFormat | 'none' | 'tmpfs';
  readonly options: string;
  /** Of an image: the stamp that its file has to have. */
  readonly stamp: string | undefined;
}

/** The lasting directory of a plugin, on the host. */
export interface PlannedState {
  readonly directory: string;
  /** Bytes. */
  readonly quota: number | 'infinity';
}

/** One sandbox, completely: nothing is added later but the descriptors that are handed in. */
export interface SandboxPlan extends SandboxIdentity {
  readonly plugin: string;
  readonly version: string | undefined;
  readonly isolation: Isolation;
  /** `plugin-NAME-a-g17.service` or `.scope`, escaped. */
  readonly unit: string;
  readonly sliceUnit: string;
  readonly anchorUnit: string;
  /** Of the unit, and of init and the payload in it; paths from the root of the hierarchy on. */
  readonly cgroup: string;
  readonly payloadCgroup: string;
  /** Machine name and host name of the container. */
  readonly machine: string;
  readonly description: string;
  readonly rootDirectory: string;
  readonly mounts: readonly PlannedMount[];
  readonly hostMounts: readonly HostMount[];
  readonly state: PlannedState | undefined;
  readonly credentials: readonly PlannedCredential[];
  readonly limits: PlannedLimits;
  /** Whether it asks before each accept(2), so that it can be without traffic while it runs. */
  readonly gated: boolean;
  readonly probes: Probes;
  /** Where its program tells its own figures, which are asked for from inside, too. */
  readonly metrics: MetricsEndpoint | undefined;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  /** The longest time that it may be given to end when another version takes its place. */
  readonly drainMs: number;
  /** Name of the signal that ends the payload, say `SIGTERM`. */
  readonly stopSignal: string;
  /** Capabilities the payload keeps, by full name. */
  readonly capabilities: readonly string[];
  readonly network: PlannedNetwork;
  /** Init's path inside and its arguments, then the payload's. */
  readonly init: readonly string[];
  /** What makes the sandbox: the words of its kind for all of this, with `init` at the end. */
  readonly command: readonly string[];
  readonly listeners: readonly PlannedListener[];
  /** Its own socket for calls, if it takes any. */
  readonly rpc?: PlannedRpc;
  readonly seccomp: string;
  readonly digest: string;
}
