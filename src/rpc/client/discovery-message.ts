/** What the supervisor tells at `/run/bulkhead/discovery/NAME`: docs/protocol.md, "Where to connect". Pure. */

export const SANDBOX_STATES = ['ready', 'standby', 'shut', 'draining'] as const;
export type SandboxState = (typeof SANDBOX_STATES)[number];

export interface SandboxFacts {
  readonly generation: number;
  readonly slot: string;
  /** Empty when there is none. */
  readonly version: string;
  readonly state: SandboxState;
  /** Health, 0 to 100. */
  readonly score: number;
  /** Percent of the calls that the slot gets. */
  readonly weight: number;
  /** Path of the socket. */
  readonly socket: string;
}

/** A sandbox died. Told as soon as it is known, and once more when there is an incident. */
export interface CrashToken {
  readonly generation: number;
  /** Class of failure, such as `crash` or `oom`. */
  readonly class: string;
  readonly text: string;
  readonly incident: string | undefined;
}

export type DiscoveryMessage =
  | { readonly kind: 'sandboxes'; readonly sandboxes: readonly SandboxFacts[] }
  | { readonly kind: 'crash'; readonly crash: CrashToken }
  /** Of a later version, or something that is told to others. */
  | { readonly kind: 'unknown' };

/** No plugin has more; a longer list is not from a supervisor. */
const MOST_SANDBOXES = 4096;
const LONGEST_WORD = 128;
const LONGEST_TEXT = 1024;
/** sockaddr_un, unix(7), without the NUL at its end. */
const LONGEST_SOCKET = 107;

/** @throws Error for what is not as the page says. */
export function readDiscovery(line: string): DiscoveryMessage {
  const value: unknown = JSON.parse(line);
  if (!isMap(value)) throw new Error('not an object');
  if (value.crash !== undefined) return { kind: 'crash', crash: crashOf(value.crash) };
  if (value.discovery !== 1) return { kind: 'unknown' };
  const list = value.sandboxes;
  if (!Array.isArray(list) || list.length > MOST_SANDBOXES)
    throw new Error("'sandboxes' is no list, or too long a one");
  const sandboxes = list.map(sandboxOf);
  if (new Set(sandboxes.map(({ generation }) => generation)).size !== sandboxes.length)
    throw new Error('two sandboxes of one generation');
  return { kind: 'sandboxes', sandboxes };
}

function sandboxOf(value: unknown): SandboxFacts {
  if (!isMap(value)) throw new Error('a sandbox is no object');
  const socket = text(value, 'socket', LONGEST_SOCKET);
  if (!socket.startsWith('/')) throw new Error(`'${socket}' is no path`);
  return {
    generation: number(value, 'generation', Number.MAX_SAFE_INTEGER),
    slot: text(value, 'slot', LONGEST_WORD),
    version: value.version == null ? '' : text(value, 'version', LONGEST_WORD),
    // Somebody of whom it is not known what he is gets no calls.
    state: SANDBOX_STATES.find((state) => state === value.state) ?? 'shut',
    score: number(value, 'score', 100),
    weight: number(value, 'weight', 100),
    socket,
  };
}

function crashOf(value: unknown): CrashToken {
  if (!isMap(value)) throw new Error("'crash' is no object");
  return {
    generation: number(value, 'generation', Number.MAX_SAFE_INTEGER),
    class: text(value, 'class', LONGEST_WORD),
    text: text(value, 'text', LONGEST_TEXT),
    incident: value.incident == null ? undefined : text(value, 'incident', LONGEST_WORD),
  };
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(map: Record<string, unknown>, key: string, longest: number): string {
  const value = map[key];
  if (typeof value !== 'string' || value.length > longest) throw new Error(`'${key}' is no text, or too long a one`);
  return value;
}

function number(map: Record<string, unknown>, key: string, most: number): number {
  const value = map[key];
  if (typeof value !== 'number' || !(value >= 0 && value <= most)) throw new Error(`'${key}' is not from 0 to ${most}`);
  return value;
}
