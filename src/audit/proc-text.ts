import { endpointText } from '../declare/endpoint.ts';
import { shortestIpv6 } from '../declare/tcp-address.ts';
import type { Credentials, MountFacts } from './facts.ts';

const CAPABILITY_SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

/** The fields of a /proc/PID/status by name. */
export function statusFields(text: string): ReadonlyMap<string, string> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1).trim()] as const];
    }),
  );
}

/** What of /proc/PID/task/TID/status belongs to the thread; undefined when a field is missing. */
export function parseCredentials(text: string): Credentials | undefined {
  const fields = statusFields(text);
  const numbers = (name: string): number[] => (fields.get(name) ?? '').split(/\s+/).filter(Boolean).map(Number);
  const capabilities = CAPABILITY_SETS.map((name) => fields.get(name)).filter((value) => value !== undefined);
  const uids = numbers('Uid');
  const gids = numbers('Gid');
  const mode = fields.get('Seccomp');
  if (uids.length !== 4 || gids.length !== 4 || capabilities.length !== CAPABILITY_SETS.length || mode === undefined)
    return undefined;
  const filters = fields.get('Seccomp_filters');
  return {
    uids,
    gids,
    groups: numbers('Groups'),
    capabilities: capabilities.map((digits) => BigInt(`0x${digits}`)),
    noNewPrivs: fields.get('NoNewPrivs') === '1',
    seccompMode: Number(mode),
    seccompFilters: filters === undefined ? null : Number(filters),
  };
}

/** Soft and hard value of a row of /proc/PID/limits; undefined when it is not there. */
export function parseLimit(text: string, name: string): readonly [number, number] | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(name));
  const [soft, hard] = (line ?? '').slice(name.length).trim().split(/\s+/).map(limitValue);
  return soft === undefined || hard === undefined || Number.isNaN(soft) || Number.isNaN(hard)
    ? undefined
    : [soft, hard];
}

function limitValue(word: string): number {
  return word === 'unlimited' ? Number.POSITIVE_INFINITY : Number.parseInt(word, 10);
}

/** /proc/PID/mountinfo; lines that are not of its form are left out. */
export function parseMounts(text: string): MountFacts[] {
  return text.split('\n').flatMap((line) => {
    const [own = '', fileSystem = ''] = line.split(' - ');
    const [id, , , root, target, options] = own.split(' ');
    const [type, , superOptions] = fileSystem.split(' ');
    if (root === undefined || target === undefined || options === undefined || type === undefined) return [];
    return [
      {
        id: Number(id),
        root: unescapeOctal(root),
        target: unescapeOctal(target),
        options: options.split(','),
        type,
        superOptions: (superOptions ?? '').split(','),
      },
    ];
  });
}

/** Space, tab, newline and backslash are written as three octal digits. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** /proc/PID/net/dev: the interfaces, and whether anything went through them. */
export function parseInterfaces(text: string): { name: string; idle: boolean }[] {
  return text.split('\n').flatMap((line) => {
    const [, name, counters] = /^\s*(\S+?):(.*)$/.exec(line) ?? [];
    if (name === undefined || counters === undefined) return [];
    return [{ name, idle: counters.split(/\s+/).every((value) => value === '' || value === '0') }];
  });
}

/** State of a listening socket in /proc/PID/net/tcp (TCP_LISTEN of the kernel's tcp_states.h). */
const LISTENING = '0A';

/** /proc/PID/net/tcp and tcp6: `HOST:PORT` of what listens, IPv6 in brackets, with its inode number. */
export function parseListening(text: string): (readonly [address: string, inode: string])[] {
  return text.split('\n').flatMap((line) => {
    const [, local = '', , state, ...rest] = line.trim().split(/\s+/);
    const inode = rest[5];
    const [, hex = '', port = ''] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local) ?? [];
    if (state !== LISTENING || inode === undefined || hex === '') return [];
    return [[endpointText({ host: hostOf(hex), port: Number.parseInt(port, 16) }), inode] as const];
  });
}

/** Words of four bytes, each as the machine has them in memory: little-endian, on all that run this. */
function hostOf(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? []).flatMap((word) => (word.match(/../g) ?? []).reverse());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    Number.parseInt(`${bytes[2 * index]}${bytes[2 * index + 1]}`, 16),
  );
  return shortestIpv6(groups);
}

/** One socket of a table below /proc/PID/net. */
export interface SocketRow {
  readonly inode: string;
  /** Of a Unix socket: its path; of TCP: `HEXADDRESS:HEXPORT`; empty for others. */
  readonly local: string;
}

/** Column of the inode number, by table (proc_pid_net(5)). */
const INODE_COLUMN: Readonly<Record<string, number>> = {
  tcp: 9,
  tcp6: 9,
  udp: 9,
  udp6: 9,
  udplite: 9,
  udplite6: 9,
  raw: 9,
  raw6: 9,
  icmp: 9,
  icmp6: 9,
  unix: 6,
  netlink: 9,
  packet: 8,
};

/** The tables that are read. */
export const SOCKET_TABLES: readonly string[] = Object.keys(INODE_COLUMN);

/** The sockets of one table; the heading has no number in the inode's column. */
export function parseSockets(table: string, text: string): SocketRow[] {
  const column = INODE_COLUMN[table] ?? 0;
  return text.split('\n').flatMap((line) => {
    const words = line.trim().split(/\s+/);
    const inode = words[column];
    if (inode === undefined || !/^[1-9]\d*$/.test(inode)) return [];
    const local = table === 'unix' ? words.slice(column + 1).join(' ') : (words[1] ?? '');
    return [{ inode, local }];
  });
}

/** `BEGIN HOST-BEGIN COUNT` of a uid_map or gid_map with single spaces (user_namespaces(7)). */
export function parseMap(text: string): string {
  return text
    .trim()
    .replaceAll(/[^\S\n]+/g, ' ')
    .replaceAll('\n ', '\n');
}
