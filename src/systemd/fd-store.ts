import { Failure } from '../base/failure.ts';
import type { Notifier } from './notify.ts';
import type { SetCloexec } from './sender.ts';

/** sd_listen_fds(3): the first descriptor that systemd passes. */
const LISTEN_FDS_START = 3;
/** More than any FileDescriptorStoreMax= in use; a larger number is a mistake. */
const MAX_FDS = 65_536;

/**
 * Whether the text can be the name of a stored descriptor: 1 to 255 printable ASCII characters without `:`
 * (sd_pid_notify_with_fds(3), FDNAME=), and without `|`, which stands for the backslash on the way.
 */
export function isFdName(name: string): boolean {
  return /^[\x20-\x39\x3b-\x7b\x7d\x7e]{1,255}$/.test(name);
}

/** systemd takes a backslash out of a message as an escape of what follows; unit names have them. */
function onTheWay(name: string): string {
  return name.replaceAll('\\', '|');
}

type Environment = Record<string, string | undefined>;

/**
 * The descriptors that systemd passed at start (from socket units and from the store), by name, and takes them out
 * of the environment so that no child mistakes them for its own. Descriptors without a name are called `unknown`,
 * as sd_listen_fds_with_names(3) does. Empty when there are none, or they are for another process.
 * @throws Failure BH203 when the variables contradict each other.
 */
export function inheritedFds(environment: Environment, pid: number, setCloexec: SetCloexec): Map<string, number[]> {
  const { LISTEN_FDS: count, LISTEN_PID: whose, LISTEN_FDNAMES: names } = environment;
  for (const name of ['LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) delete environment[name];
  const fds = new Map<string, number[]>();
  if (count === undefined || whose !== String(pid)) return fds;
  const total = /^\d+$/.test(count) ? Number(count) : Number.NaN;
  if (!(total <= MAX_FDS)) throw new Failure('BH203', `LISTEN_FDS is '${count}', not a number of descriptors`);
  const list = names === undefined ? [] : names.split(':');
  if (names !== undefined && list.length !== total) {
    throw new Failure('BH203', `LISTEN_FDNAMES has ${list.length} names for ${total} descriptors`);
  }
  for (let index = 0; index < total; index++) {
    const fd = LISTEN_FDS_START + index;
    setCloexec(fd, true);
    const name = (list[index] ?? '').replaceAll('|', '\\');
    const key = name === '' ? 'unknown' : name;
    fds.set(key, [...(fds.get(key) ?? []), fd]);
  }
  return fds;
}

/** Descriptors that outlive us in systemd's keeping (FileDescriptorStoreMax=), by name. */
export class FdStore {
  readonly #notifier: Notifier;

  constructor(notifier: Notifier) {
    this.#notifier = notifier;
  }

  /**
   * Keeps copies of the descriptors under a name; one that is stored already (the same open file) is not stored
   * twice. systemd drops silently what exceeds FileDescriptorStoreMax=.
   * @throws RangeError when systemd would not take the name; Failure BH601 when the message cannot be sent.
   */
  store(name: string, fds: readonly number[]): void {
    requireName(name);
    this.#notifier.storeFds(onTheWay(name), fds);
  }

  /** Drops all descriptors of that name; none of them is no error. */
  remove(name: string): void {
    requireName(name);
    this.#notifier.removeFds(onTheWay(name));
  }
}

function requireName(name: string): void {
  if (!isFdName(name)) throw new RangeError(`'${name}' cannot be the name of a stored descriptor`);
}
