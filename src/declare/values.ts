import { formatBytes, parseBytes } from '../base/bytes.ts';
import { formatDuration, parseDuration } from '../base/duration.ts';
import { readCron, readDays } from './cron.ts';
import type { Limit } from './declaration.ts';
import { type Endpoint, parseEndpoint } from './endpoint.ts';
import { whyNotPluginName } from './plugin-name.ts';
import { parseTcpAddress, type Refusal } from './tcp-address.ts';

/** A value of a declaration, read from its text, or why it cannot be. */
export type Reading<Value> = { readonly value: Value } | Refusal;

export type Reader = (text: string) => Reading<unknown>;

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;

/** Memory below this cannot hold even a small static program with its kernel structures. */
const LEAST_MEMORY = 4 * 1024 ** 2;

/** sockaddr_un has room for 108 bytes, with the NUL at the end. */
const LONGEST_SOCKET_PATH = 107;

const WRONG: Refusal = { refused: '' };

export const readMemory = (text: string) => limit(text, LEAST_MEMORY);
export const readSwap = (text: string) => limit(text, 0);

function limit(text: string, least: number): Reading<Limit> {
  if (text === 'infinity') return { value: 'infinity' };
  const percent = percentOf(text);
  if (percent !== undefined) {
    return percent > 0 && percent <= 100 ? { value: { percent } } : { refused: 'a share is from 0.01% to 100%' };
  }
  const bytes = parseBytes(text);
  if (bytes === undefined) return { ...WRONG, ...sizeHint(text) };
  return bytes >= least ? { value: { bytes } } : { refused: `the least is ${formatBytes(least)}` };
}

function sizeHint(text: string): { hint?: string } {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)\s*([kmgt])i?b?$/i.exec(text) ?? [];
  return digits === undefined ? {} : { hint: `write '${digits}${unit?.toUpperCase()}', which means powers of 1024` };
}

export function percentOf(text: string): number | undefined {
  const digits = /^(\d{1,7}(?:\.\d{1,2})?)%$/.exec(text)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function readTmp(text: string): Reading<number> {
  const bytes = parseBytes(text);
  if (bytes === undefined) return { ...WRONG, ...sizeHint(text) };
  return bytes >= 64 * 1024 ? { value: bytes } : { refused: 'the least is 64K' };
}

/** Bytes of one message of a program that speaks on its standard input and output. */
export function readMessage(text: string): Reading<number> {
  const bytes = parseBytes(text);
  if (bytes === undefined) return { ...WRONG, ...sizeHint(text) };
  return bytes >= 1024 && bytes <= 64 << 20 ? { value: bytes } : { refused: 'the least is 1K, the most 64M' };
}

export function readQuota(text: string): Reading<number | 'infinity'> {
  return text === 'infinity' ? { value: text } : readTmp(text);
}

/** Percent of one CPU. */
export function readCpu(text: string): Reading<number | 'infinity'> {
  if (text === 'infinity') return { value: 'infinity' };
  const percent = percentOf(text);
  if (percent === undefined) return /^\d+$/.test(text) ? { ...WRONG, hint: `write '${text}%'` } : WRONG;
  return percent >= 1 && percent <= 1_000_000 ? { value: percent } : { refused: 'the least is 1%, the most 1000000%' };
}

export function readTasks(text: string): Reading<number | 'infinity'> {
  if (text === 'infinity') return { value: 'infinity' };
  const count = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= 4_194_304 ? { value: count } : WRONG;
}

/** Bytes of a resource limit of setrlimit(2). */
export function readResource(text: string): Reading<number | 'infinity'> {
  if (text === 'infinity') return { value: 'infinity' };
  const bytes = parseBytes(text);
  return bytes === undefined ? { ...WRONG, ...sizeHint(text) } : { value: bytes };
}

/** Bytes in a second; below a page nothing would ever pass. */
export function readRate(text: string): Reading<number> {
  const bytes = parseBytes(text);
  if (bytes === undefined) return { ...WRONG, ...sizeHint(text) };
  return bytes >= 4096 ? { value: bytes } : { refused: 'the least is 4K' };
}

/** A share from 0 to 1, written as a percentage. */
export function readJitter(text: string): Reading<number> {
  const percent = percentOf(text);
  if (percent !== undefined && percent <= 100) return { value: percent / 100 };
  const share = /^(?:0(?:\.\d{1,4})?|1)$/.test(text) ? Number((Number(text) * 100).toFixed(2)) : undefined;
  return share === undefined ? WRONG : { ...WRONG, hint: `write '${share}%'` };
}

export function duration(least: number, most: number): (text: string) => Reading<number> {
  return (text) => {
    const ms = parseDuration(text);
    if (ms === undefined) return WRONG;
    return ms >= least && ms <= most ? { value: ms } : { refused: `${formatDuration(ms)} is not in that range` };
  };
}

export const readStartTimeout = duration(SECOND, HOUR);
export const readStopTimeout = duration(0, HOUR);
export const readBackoff = duration(10, HOUR);
export const readLongTime = duration(SECOND, DAY);
export const readLogTime = duration(SECOND, HOUR);
export const readHeartbeat = duration(SECOND, 60 * SECOND);
export const readRequestTime = duration(100, DAY);
export const readSpin = duration(SECOND, HOUR);
export const readProbeTime = duration(100, HOUR);
export const readProbeTimeout = duration(10, 300 * SECOND);
export const readStepDelay = duration(0, HOUR);

export { readDays };

/** A choice that is made by naming it, so that there is nothing to deny. */
function readTrue(text: string): Reading<true> {
  return text === 'true' ? { value: true } : WRONG;
}

/** Minutes since midnight. */
export function readTimeOfDay(text: string): Reading<number> {
  const [, hours, minutes] = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text) ?? [];
  return hours === undefined ? WRONG : { value: Number(hours) * 60 + Number(minutes) };
}

/** By how much a limit is raised. */
export function readRaise(text: string): Reading<{ readonly amount: number } | { readonly percent: number }> {
  const percent = percentOf(text);
  if (percent !== undefined)
    return percent > 0 && percent <= 1000 ? { value: { percent } } : { refused: 'a share is from 0.01% to 1000%' };
  const amount = readUpTo(text);
  return 'refused' in amount ? amount : { value: { amount: amount.value } };
}

/** Bytes, or a number of something. */
export function readUpTo(text: string): Reading<number> {
  const bytes = parseBytes(text);
  if (bytes === undefined) return { ...WRONG, ...sizeHint(text) };
  return bytes > 0 ? { value: bytes } : { refused: 'it is nothing' };
}

/** Permission bits; digits are octal, as chmod(1) takes them. */
export function readMode(text: string): Reading<number> {
  const digits = /^(?:0o?)?([0-7]{3})$/.exec(text)?.[1];
  return digits === undefined ? WRONG : { value: Number.parseInt(digits, 8) };
}

export function readUserName(text: string): Reading<string> {
  if (/^\d{1,10}$/.test(text)) return Number(text) < 0xffff_ffff ? { value: text } : WRONG;
  return /^[A-Za-z_][A-Za-z0-9_-]{0,30}$/.test(text) ? { value: text } : WRONG;
}

export function readTcp(text: string): Reading<{ readonly host: string; readonly port: number }> {
  const address = parseTcpAddress(text);
  return 'refused' in address ? address : { value: address };
}

export function readEndpoint(text: string): Reading<Endpoint> {
  const endpoint = parseEndpoint(text);
  return 'refused' in endpoint ? endpoint : { value: endpoint };
}

export function readNetwork(text: string): Reading<'none' | 'host'> {
  if (text === 'none' || text === 'host') return { value: text };
  const endpoint = parseEndpoint(text);
  return 'refused' in endpoint ? WRONG : { ...WRONG, hint: `write { egress: ['${text}'] }` };
}

export function readSocketPath(text: string): Reading<string> {
  const path = readPath(text);
  if ('refused' in path) return path;
  const bytes = new TextEncoder().encode(text).length;
  if (bytes > LONGEST_SOCKET_PATH) return { refused: `it has ${bytes} bytes` };
  if (text === '/run/bulkhead' || text.startsWith('/run/bulkhead/'))
    return { refused: "that directory is bulkhead's own" };
  return path;
}

export function readRoot(text: string): Reading<string> {
  if (text === 'host') return { value: text };
  return readPath(text);
}

/** A path whose disk is meant: the root directory, too. */
export function readIoPath(text: string): Reading<string> {
  return text === '/' ? { value: text } : readPath(text);
}

/** An absolute path in its plain form, below '/'. */
export function readPath(text: string): Reading<string> {
  if (!text.startsWith('/')) return { refused: 'it does not begin with a slash' };
  if (text.length > 1024) return { refused: 'it is too long' };
  if (/\p{Cc}|\p{Cs}/u.test(text)) return { refused: 'it contains control characters' };
  const parts = text.slice(1).split('/');
  if (parts.includes('..') || parts.includes('.')) return { refused: "it contains '.' or '..'" };
  return parts.includes('') ? { refused: 'it has an empty part' } : { value: text };
}

/** Where a sandbox has something of its own already, or where nobody looks for data. */
const OCCUPIED = ['usr', 'bin', 'sbin', 'lib', 'lib64', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'plugin'];

/** Where a writable directory can be inside. */
export function readMountPath(text: string): Reading<string> {
  const path = readPath(text);
  if ('refused' in path) return path;
  const [top = ''] = text.slice(1).split('/');
  return OCCUPIED.includes(top) ? { refused: `'/${top}' is taken` } : path;
}

export function readDevicePath(text: string): Reading<string> {
  const path = readPath(text);
  if ('refused' in path) return path;
  if (!text.startsWith('/dev/')) return { refused: 'it is not below /dev' };
  return /^\/dev\/(shm|pts|mqueue)(\/|$)/.test(text) ? { refused: 'that is a file system, not a device' } : path;
}

export function readTemplate(text: string): Reading<string> {
  const why = whyNotPluginName(text);
  return why === undefined ? { value: text } : { refused: why };
}

export function readVersion(text: string): Reading<string> {
  if (text.includes('/')) return { refused: 'it is one directory, not a path' };
  if (text.includes('..')) return { refused: "it contains '..'" };
  return /^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$/.test(text) ? { value: text } : WRONG;
}

function words(most: number): (text: string) => Reading<string> {
  return (text) => {
    if (text.includes('\0')) return { refused: 'it contains a NUL byte' };
    if (/\p{Cs}/u.test(text)) return { refused: 'it contains half a character' };
    return text.length <= most ? { value: text } : { refused: `it has ${text.length} characters` };
  };
}

export const readArgument = words(4096);
export const readVariable = words(8192);

/** Readers of the keys whose texts the schema alone cannot judge. The schema judges the JSON type first. */
/** Groups of system calls that cannot be granted, with the reason why nobody can have them. */
const REFUSED_GRANTS: Readonly<Record<string, string>> = {
  bpf: 'the kernel takes it from holders of CAP_BPF on the host only, whom nothing would confine',
  mount: "with it the sandbox's read-only root could be mounted anew; 'view' says what a plugin sees",
  userns:
    'in a user namespace of its own a process has every capability, over mounts, networks and packet filters, and no wall was tested against that',
  vsock: 'its addresses are not in any namespace: a plugin would reach the hypervisor and whoever listens there',
};

function readGrant(text: string): Reading<string> {
  const why = Object.hasOwn(REFUSED_GRANTS, text) ? REFUSED_GRANTS[text] : undefined;
  return why === undefined ? { value: text } : { refused: why };
}

export const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['template', readTemplate],
  ['template[]', readTemplate],
  ['version', readVersion],
  ['exec[]', readArgument],
  ['environment.*', readVariable],
  ['listen[].tcp', readTcp],
  ['listen[].unix', readSocketPath],
  ['listen[].mode', readMode],
  ['listen[].user', readUserName],
  ['listen[].group', readUserName],
  ['rpc.user', readUserName],
  ['rpc.group', readUserName],
  ['rpc.mode', readMode],
  ['allow[]', readGrant],
  ['network', readNetwork],
  ['network.egress[]', readEndpoint],
  ['stdio.message', readMessage],
  ['view.root', readRoot],
  ['view.tmp', readTmp],
  ['view.tmpfs[].path', readMountPath],
  ['view.tmpfs[].size', readTmp],
  ['state.path', readMountPath],
  ['state.quota', readQuota],
  ['credentials.*.path', readPath],
  ['devices[].path', readDevicePath],
  ['limits.memory', readMemory],
  ['limits.memory-high', readMemory],
  ['limits.swap', readSwap],
  ['limits.cpu', readCpu],
  ['limits.tasks', readTasks],
  ['limits.io[].path', readIoPath],
  ['limits.io[].read', readRate],
  ['limits.io[].write', readRate],
  ['limits.memory-lock', readResource],
  ['limits.core', readResource],
  ['limits.log.within', readLogTime],
  ['health.start-timeout', readStartTimeout],
  ['health.heartbeat', readHeartbeat],
  ['health.request-timeout', readRequestTime],
  ['health.spin', readSpin],
  ['health.stopped', readLongTime],
  ...['startup', 'readiness', 'liveness'].flatMap((name): [string, Reader][] => [
    [`health.${name}.every`, readProbeTime],
    [`health.${name}.timeout`, readProbeTimeout],
    [`health.${name}.command[]`, readArgument],
    [`health.${name}.tcp`, readTrue],
  ]),
  ['health.liveness.notify', readTrue],
  ['stop.timeout', readStopTimeout],
  ['recovery.backoff.initial', readBackoff],
  ['recovery.backoff.max', readBackoff],
  ['recovery.backoff.jitter', readJitter],
  ['recovery.backoff.reset', readLongTime],
  ['recovery.budget.within', readLongTime],
  ['recovery.risky.days', readDays],
  ['recovery.risky.from', readTimeOfDay],
  ['recovery.risky.to', readTimeOfDay],
  ...['*', 'raise', 'run'].map((step): [string, Reader] => [`recovery.*[].${step}.delay`, readStepDelay]),
  ['recovery.*[].raise.by', readRaise],
  ['recovery.*[].raise.most', readUpTo],
  ['recovery.*[].run[]', readArgument],
  ['recovery.*[].run.command[]', readArgument],
  ['recovery.*[].run.timeout', readLogTime],
  ['schedule[].recycle', readCron],
]);

const RESERVED = ['NOTIFY_SOCKET', 'STATE_DIRECTORY', 'CREDENTIALS_DIRECTORY'];

/** Whether bulkhead sets this variable itself, so that a declaration must not. */
export function isReservedVariable(name: string): boolean {
  return /^(LISTEN|BULKHEAD)_/.test(name) || RESERVED.includes(name);
}
