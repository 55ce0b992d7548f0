import { readdirSync } from 'node:fs';

/** Where systemd-coredump keeps them (coredump.conf(5), Storage=external). */
export const CORE_DIRECTORY = '/var/lib/systemd/coredump';

export interface CoreDump {
  readonly file: string;
  /** On the host. */
  readonly pid: number;
  /** Wall clock, ms since 1970. */
  readonly at: number;
  /** `.zst`, or whatever it was compressed with; '' for nothing. */
  readonly ending: string;
}

/**
 * `core.COMM.UID.BOOT.PID.MICROSECONDS.zst`. The name is what the program made of it, with dots, too; what is behind it
 * is systemd's. A file that is being written has a name of another form.
 */
const NAME = /^core\..*\.(\d+)\.[0-9a-f]{32}\.(\d+)\.(\d{10,20})(\.zst|\.lz4|\.xz)?$/s;

/** The youngest dump of a process with an id of this range that ended not before this moment (wall clock, ms). */
export function findCoreDump(uids: UidRange, notBefore: number, directory = CORE_DIRECTORY): CoreDump | undefined {
  return namesIn(directory)
    .map((name) => parseCoreName(name, uids))
    .filter((core) => core !== undefined && core.at >= notBefore)
    .sort((one, other) => (other?.at ?? 0) - (one?.at ?? 0))[0];
}

/** Ids of a sandbox on the host. */
export interface UidRange {
  readonly base: number;
  readonly count: number;
}

export function parseCoreName(file: string, { base, count }: UidRange): CoreDump | undefined {
  const [, uid, pid, microseconds, ending = ''] = NAME.exec(file) ?? [];
  const owner = Number(uid);
  if (uid === undefined || owner < base || owner >= base + count) return undefined;
  return { file, pid: Number(pid), at: Number(microseconds) / 1000, ending };
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    // Without systemd-coredump there is no such directory.
    return [];
  }
}
