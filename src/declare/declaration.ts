import type { Endpoint } from './endpoint.ts';
import type { Probes } from './probe.ts';
import type { Chains, RiskyWindow, Scheduled } from './recovery.ts';
import type { UpgradeSettings } from './upgrade.ts';

/** A declaration after templates, drop-ins and defaults: every field has its value. Sizes in bytes, times in ms. */
export interface Declaration {
  readonly name: string;
  readonly description: string;
  /** The templates that were applied, the nearest first. */
  readonly templates: readonly string[];
  /** Directory below /opt/plugin/NAME that holds the program; undefined when the program is all in the root. */
  readonly version: string | undefined;
  /** Program and arguments. A first word that begins with "./" is looked up in the version's directory. */
  readonly exec: readonly string[];
  /** There for a program that speaks on its standard input and output. */
  readonly stdio?: Stdio;
  readonly environment: Readonly<Record<string, string>>;
  readonly listen: readonly Listen[];
  /** Who may call; there for a plugin that takes calls. */
  readonly rpc?: RpcAccess;
  readonly network: Network;
  /** `standby`: sandboxes beside those that serve, started and ready and without traffic. */
  readonly pool: { readonly size: number; readonly standby: number };
  readonly view: {
    /** `host`: a generated skeleton with the host's /usr read-only; else the path of a directory or an image file. */
    readonly root: string;
    /** Size limit of /tmp. */
    readonly tmp: number;
    readonly tmpfs: readonly { readonly path: string; readonly size: number }[];
  };
  /** The plugin's lasting directory: where it is inside, and bytes. */
  readonly state: { readonly path: string | undefined; readonly quota: number | 'infinity' };
  readonly credentials: readonly DeclaredCredential[];
  readonly devices: readonly DeclaredDevice[];
  readonly isolation: Isolation;
  /** Name of the seccomp profile. */
  readonly seccomp: string;
  /** Names of the groups of calls that are allowed beside the profile, each once. */
  readonly allow: readonly string[];
  /** Whether a process may execute other programs than that of `exec`. */
  readonly programs: 'any' | 'own';
  /** Capabilities the payload keeps, by full name (`CAP_NET_BIND_SERVICE`). */
  readonly capabilities: readonly string[];
  readonly limits: {
    readonly memory: Limit;
    /** Share of `memory`, or absolute. */
    readonly memoryHigh: Limit;
    readonly swap: Limit;
    /** Percent of one CPU; `infinity` for no limit. */
    readonly cpu: number | 'infinity';
    readonly cpuWeight: number;
    readonly tasks: number | 'infinity';
    /** Open files (RLIMIT_NOFILE). */
    readonly files: number;
    readonly ioWeight: number;
    readonly io: readonly IoLimit[];
    /** Bytes of RLIMIT_MEMLOCK. */
    readonly memoryLock: number | 'infinity';
    /** Bytes of RLIMIT_CORE. */
    readonly core: number | 'infinity';
    readonly log: { readonly messages: number; readonly withinMs: number };
  };
  readonly health: Probes & {
    readonly ready: 'exec' | 'notify';
    /** Covers the startup probe, too. */
    readonly startTimeoutMs: number;
    /** How often a sandbox is looked at. */
    readonly heartbeatMs: number;
    /** A request without a deadline of its own is overdue after it. */
    readonly requestTimeoutMs: number;
    /** On a CPU without progress for so long is a spin. */
    readonly spinMs: number;
    /** A payload that somebody stopped or froze is left so for so long. */
    readonly stoppedMs: number;
  };
  readonly stop: { readonly signal: string; readonly timeoutMs: number };
  readonly recovery: {
    readonly backoff: {
      readonly initialMs: number;
      readonly maxMs: number;
      readonly factor: number;
      /** Share of the delay that is added or taken away at random, 0 to 1. */
      readonly jitter: number;
      /** A sandbox that stayed ready for this long resets the delay. */
      readonly resetMs: number;
    };
    /** More than `restarts` within `withinMs` and the plugin fails. */
    readonly budget: { readonly restarts: number; readonly withinMs: number };
    readonly chains: Chains;
    /** When steps that are `risky` are allowed; absent where no step is. */
    readonly risky?: RiskyWindow;
  };
  readonly upgrade: UpgradeSettings;
  /** Installed versions that are kept; those in use are kept in any case. */
  readonly versions: { readonly keep: number };
  readonly schedule: readonly Scheduled[];
}

/** How the bridge offers a program that speaks on its standard input and output. */
export interface Stdio {
  readonly protocol: 'mcp' | 'lines' | 'raw';
  readonly process: 'connection' | 'shared';
  /** At a time. */
  readonly connections: number;
  /** Bytes of the longest message. */
  readonly message: number;
}

/** What makes a sandbox: systemd-nspawn in a service, or the spawner, whose processes become a scope. */
export type Isolation = 'nspawn' | 'scope';

/** A secret: a file of the host under a name of its own. */
export interface DeclaredCredential {
  readonly name: string;
  /** Empty when no text said it, which is a problem. */
  readonly path: string;
  /** Whether systemd-creds(1) has to decrypt it. */
  readonly encrypted: boolean;
}

export interface DeclaredDevice {
  readonly path: string;
  readonly access: DeviceAccess;
}

export type DeviceAccess = 'r' | 'w' | 'rw';

/** A limit in bytes, as a share of something (0 to 100), or none. */
export type Limit = { readonly bytes: number } | { readonly percent: number } | 'infinity';

/** What may pass to and from the disk that the path is on, in a second. */
export interface IoLimit {
  readonly path: string;
  /** Bytes. */
  readonly read: number | 'infinity';
  readonly write: number | 'infinity';
  /** Operations. */
  readonly readIops: number | 'infinity';
  readonly writeIops: number | 'infinity';
}

/** `egress`: the endpoints alone can be reached; there is at least one then, and none otherwise. */
export interface Network {
  readonly mode: 'none' | 'egress' | 'host';
  readonly egress: readonly Endpoint[];
}

/** Owner and permission bits of the sockets for calls, and of that of discovery. */
export interface RpcAccess {
  readonly user: string;
  readonly group: string;
  readonly mode: number;
}

/** As the program finds its socket for calls in LISTEN_FDNAMES, behind its listeners. */
export const RPC_SOCKET_NAME = 'rpc';

export type Listen = TcpListen | UnixListen;

interface ListenCommon {
  /** What the payload sees in LISTEN_FDNAMES; defaults to `tcp-PORT` or the socket file's base name. */
  readonly name: string;
  readonly backlog: number;
  /** Port that the program binds itself, to which connections are forwarded; absent for a socket that it is handed. */
  readonly to?: number;
}

export interface TcpListen extends ListenCommon {
  readonly kind: 'tcp';
  /** Address without brackets: `127.0.0.1`, `::1`, `0.0.0.0`, `::`. */
  readonly host: string;
  readonly port: number;
}

export interface UnixListen extends ListenCommon {
  readonly kind: 'unix';
  readonly path: string;
  /** Permission bits of the socket file. */
  readonly mode: number;
  readonly user: string;
  readonly group: string;
}

/** Where a value came from: the key's place in a text, the built-in default, or, of the version, an upgrade in words. */
export type Origin =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'upgrade'; readonly what: string }
  | { readonly kind: 'built-in' };

/** Dotted key (`limits.memory`, `listen[0].tcp`) -> where its value came from. */
export type Origins = ReadonlyMap<string, Origin>;

/** One text that takes part, in the order of precedence (later ones win). */
export interface DeclarationText {
  readonly file: string;
  readonly text: string;
  /** `yaml`: a declaration, drop-in or template; `unit`: a unit file or drop-in whose [X-Plugin] section counts. */
  readonly format: 'yaml' | 'unit';
}
