import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getSystemErrorName } from 'node:util';
import { Failure } from '../base/failure.ts';

/**
 * The door to the native addon: the few system calls that Node lacks. Every function is one or two system
 * calls that do not block; all throw BH601 with the call, the address and the name of the error, and BH602
 * when the addon cannot be loaded (at the first use, so that commands that need none of it work without).
 */

export interface Peer {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export type SocketAddress =
  | { readonly family: 'inet' | 'inet6'; readonly host: string; readonly port: number }
  /** `path` is '' for an unnamed socket and begins with '@' for an abstract one. */
  | { readonly family: 'unix'; readonly path: string };

export interface TcpOptions {
  /** Numeric address without brackets. */
  readonly host: string;
  /** 0 lets the kernel choose; socketAddress() tells. */
  readonly port: number;
  /** Cut to net.core.somaxconn by the kernel. */
  readonly backlog: number;
  readonly reusePort: boolean;
  /** With `reusePort`: EADDRINUSE also if somebody listens there who could be joined. Default false. */
  readonly alone?: boolean;
  /** For IPv6: whether IPv4 connections are refused. Default true, whatever net.ipv6.bindv6only says. */
  readonly v6only?: boolean;
}

export interface UnixOptions {
  /** Absolute; at most 107 bytes. A file in the way is EADDRINUSE: stale ones are the caller's to remove. */
  readonly path: string;
  readonly backlog: number;
  /** Permission bits; at no time is the file open wider. */
  readonly mode: number;
  /**
   * What the file is called before anybody can connect to it; the socket's own address stays `path`. A file of that name
   * is EEXIST. Default: `path`.
   */
  readonly name?: string;
}

/** What the C side offers: a value, or a negative errno. */
interface Addon {
  sendDatagram(path: string, bytes: Uint8Array, fds: readonly number[]): number;
  sendWithFds(socket: number, bytes: Uint8Array, fds: readonly number[]): number;
  peerCredentials(socket: number): Peer | number;
  pipe(): { read: number; write: number } | number;
  setCloexec(fd: number, on: boolean): number;
  setBlocking(fd: number): number;
  duplicate(fd: number): number;
  listenTcp(options: Required<TcpOptions>): number;
  listenUnix(options: Required<UnixOptions>): number;
  socketAddress(fd: number): SocketAddress | number;
  isListening(fd: number): boolean | number;
  wakeWaiters(fd: number): number;
  attachWeight(fd: number, percent: number): number;
  queueLength(fd: number): number;
  openProcess(pid: number): number;
  takeDescriptor(fd: number, theirs: number): number;
  queueSignal(fd: number, signal: number, value: number): number;
}

const FILE = 'bulkhead.node';
/** From build/js/src/kernel up to the checkout are four steps; one more is allowed for. */
const STEPS_TO_CHECKOUT = 5;

/** Where the addon may be, the most wanted place first. */
export function addonCandidates(
  environment: NodeJS.ProcessEnv,
  moduleUrl: string,
  script: string | undefined,
): string[] {
  const named = environment.BULKHEAD_ADDON;
  if (named !== undefined && named !== '') return [named];
  const here = dirname(fileURLToPath(moduleUrl));
  const candidates = [join(here, FILE)];
  if (script !== undefined) candidates.push(join(dirname(script), FILE));
  let directory = here;
  for (let step = 0; step < STEPS_TO_CHECKOUT; step++) {
    directory = dirname(directory);
    // Only a checkout has the build script there: an installed bundle must not pick up a stranger's build/.
    if (existsSync(join(directory, 'native', 'build'))) candidates.push(join(directory, 'build', 'native', FILE));
  }
  return candidates;
}

let loaded: Addon | undefined;

function addon(): Addon {
  if (loaded !== undefined) return loaded;
  const candidates = addonCandidates(process.env, import.meta.url, process.argv[1]);
  const file = candidates.find((candidate) => existsSync(candidate));
  if (file === undefined) throw new Failure('BH602', `not found at ${candidates.join(', ')}`);
  try {
    loaded = createRequire(import.meta.url)(file) as Addon;
    return loaded;
  } catch (error) {
    throw new Failure('BH602', `${file}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Passes a value on, or throws BH601 for a negative errno. */
function checked<T>(result: T | number, call: string): T {
  if (typeof result !== 'number' || result >= 0) return result as T;
  throw new SystemCallFailure(call, -result);
}

/** BH601 with the error by number and name, for callers that treat some of them as ordinary (EADDRINUSE, EAGAIN). */
export class SystemCallFailure extends Failure {
  readonly errno: number;
  readonly errnoName: string;

  constructor(call: string, errno: number) {
    const name = getSystemErrorName(-errno);
    super('BH601', `${call}: ${name} (${errno})`);
    this.errno = errno;
    this.errnoName = name;
  }
}

/**
 * Sends one datagram to a Unix address ('/path' or abstract '@name'), with descriptors: sd_notify(3) and the
 * journal's native protocol. EAGAIN: the receiver's queue is full. EMSGSIZE: too large (sendmsg(2)).
 */
export function sendDatagram(path: string, bytes: Uint8Array, fds: readonly number[] = []): void {
  checked(addon().sendDatagram(path, bytes, fds), `sendmsg to '${path}'`);
}

/** Sends bytes with descriptors on a connected stream; returns how many bytes were taken, at least one (unix(7)). */
export function sendWithFds(socket: number, bytes: Uint8Array, fds: readonly number[]): number {
  return checked<number>(addon().sendWithFds(socket, bytes, fds), `sendmsg on descriptor ${socket}`);
}

/** Who connected (SO_PEERCRED, unix(7)): ids as they were at its connect(2), pid in our pid namespace. */
export function peerCredentials(socket: number): Peer {
  return checked<Peer>(addon().peerCredentials(socket), `getsockopt SO_PEERCRED on descriptor ${socket}`);
}

/** A pipe; both ends are close-on-exec and do not block. */
export function pipe(): { readonly read: number; readonly write: number } {
  return checked<{ read: number; write: number }>(addon().pipe(), 'pipe2');
}

export function setCloexec(fd: number, on: boolean): void {
  checked(addon().setCloexec(fd, on), `fcntl F_SETFD on descriptor ${fd}`);
}

/** Takes O_NONBLOCK away, which whoever has a copy may have set for all copies (open(2)). */
export function setBlocking(fd: number): void {
  checked(addon().setBlocking(fd), `fcntl F_SETFL on descriptor ${fd}`);
}

/** A close-on-exec copy, never 0, 1 or 2. */
export function duplicate(fd: number): number {
  return checked<number>(addon().duplicate(fd), `fcntl F_DUPFD_CLOEXEC on descriptor ${fd}`);
}

/** A listening TCP socket with SO_REUSEADDR; close-on-exec. It blocks, as systemd's own sockets do
 * (systemd.socket(5), NonBlocking=): a plugin that wants it otherwise says so. Errors of bind(2) and listen(2). */
export function listenTcp(options: TcpOptions): number {
  const { host, port } = options;
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return checked<number>(addon().listenTcp({ v6only: true, alone: false, ...options }), `listen on ${address}`);
}

/** A listening stream socket at a path; close-on-exec. It blocks, as systemd's own sockets do
 * (systemd.socket(5), NonBlocking=): a plugin that wants it otherwise says so. Errors of bind(2) and listen(2). */
export function listenUnix(options: UnixOptions): number {
  return checked<number>(addon().listenUnix({ name: '', ...options }), `listen on '${options.path}'`);
}

/** The socket's own address (getsockname(2)). */
export function socketAddress(fd: number): SocketAddress {
  return checked<SocketAddress>(addon().socketAddress(fd), `getsockname on descriptor ${fd}`);
}

/** Whether the socket accepts connections (SO_ACCEPTCONN, socket(7)). ENOTSOCK for anything but a socket. */
export function isListening(fd: number): boolean {
  return checked<boolean>(addon().isListening(fd), `getsockopt SO_ACCEPTCONN on descriptor ${fd}`);
}

/**
 * Makes whoever waits for connections of the listening socket look again: one that was told to somebody who died before he
 * took it would else wait for the next one (native/base/waiters.h).
 */
export function wakeWaiters(fd: number): void {
  checked(addon().wakeWaiters(fd), `shutdown on descriptor ${fd}`);
}

/**
 * Sends so many percent of the new connections to the second one that listens on the address of this TCP socket, in the
 * order in which they began to, and the others to the first one; 0 and 100 hold exactly. It holds for the group that
 * share the address (SO_REUSEPORT, socket(7)), and for one that joins it later.
 */
export function attachWeight(fd: number, percent: number): void {
  checked(addon().attachWeight(fd, percent), `setsockopt SO_ATTACH_REUSEPORT_CBPF on descriptor ${fd}`);
}

/** How many connections wait to be accepted; of a Unix socket 1 stands for any number. EINVAL: it does not listen. */
export function queueLength(fd: number): number {
  return checked<number>(addon().queueLength(fd), `getsockopt TCP_INFO on descriptor ${fd}`);
}

/** A descriptor that stands for this process and for no later one of the same number (pidfd_open(2)). ESRCH: it is gone. */
export function openProcess(pid: number): number {
  return checked<number>(addon().openProcess(pid), `pidfd_open of ${pid}`);
}

/** Sends a signal with a value (sigqueue(3)) to the process of such a descriptor. ESRCH: it is gone. EAGAIN: too many wait. */
export function queueSignal(fd: number, signal: number, value: number): void {
  checked(addon().queueSignal(fd, signal, value), `pidfd_send_signal on descriptor ${fd}`);
}

/** A close-on-exec copy of a descriptor of the process of such a descriptor. EBADF: it has none of that number. */
export function takeDescriptor(fd: number, theirs: number): number {
  return checked<number>(addon().takeDescriptor(fd, theirs), `pidfd_getfd of ${theirs} on descriptor ${fd}`);
}
