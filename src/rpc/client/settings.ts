import {
  FIRST_FRAME_LIMIT,
  LEAST_FRAME_LIMIT,
  LONGEST_NAME_BYTES,
  MOST_DEADLINE_MS,
  MOST_FRAME_LIMIT,
} from '../wire/limits.ts';
import { inRange, text, whole } from './arguments.ts';

/** What connect() may be told. */
export interface ConnectOptions {
  /** Where the plugin's sandboxes are told; by default `/run/bulkhead/discovery/PLUGIN`. */
  readonly discovery?: string | undefined;
  /** The socket of one server, started by hand: there is no discovery then. */
  readonly socket?: string | undefined;
  /** Time that a call has, ms; 5000. Of a stream: for its next part, while it has credit. */
  readonly timeoutMs?: number | undefined;
  /** Attempts at a call beside the first, 0 to 10; 2. */
  readonly retries?: number | undefined;
  /** A call that may be made twice is made elsewhere, too, when it has no answer after so long, ms; never. */
  readonly hedgeAfterMs?: number | undefined;
  /** Methods that may be called twice without harm. */
  readonly idempotent?: Iterable<string> | undefined;
  /** A call without an answer after so long is slow: three in a row keep further calls away, ms; 500. */
  readonly slowMs?: number | undefined;
  /** Who calls, for the plugin's logs: at most 64 bytes. */
  readonly name?: string | undefined;
  /** Connections to each sandbox, 1 to 16; 1. More carry large bodies side by side. */
  readonly connections?: number | undefined;
  /** Calls that wait for room or for a sandbox, at most; 1000. Those beyond fail as `overloaded`. */
  readonly waiting?: number | undefined;
  /** Time that a call waits while no sandbox is there, ms; 1000. Then it fails as `unavailable`. */
  readonly waitMs?: number | undefined;
  /** Bytes of a message that this side takes, 64 KiB to 64 MiB; 4 MiB. */
  readonly frameLimit?: number | undefined;
  /** The W3C trace context of a call that names none. */
  readonly traceparent?: (() => string | undefined) | undefined;
}

export interface Settings {
  readonly plugin: string;
  readonly where: { readonly discovery: string } | { readonly socket: string };
  readonly timeoutMs: number;
  readonly retries: number;
  /** Infinity: never. */
  readonly hedgeAfterMs: number;
  readonly idempotent: ReadonlySet<string>;
  readonly slowMs: number;
  readonly name: string;
  readonly connections: number;
  readonly waiting: number;
  readonly waitMs: number;
  readonly frameLimit: number;
  readonly traceparent: (() => string | undefined) | undefined;
}

const PLUGIN_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,46}[a-z0-9])?$/;

/** @throws TypeError, RangeError */
export function settingsOf(plugin: string, options: ConnectOptions): Settings {
  if (options.socket === undefined && !PLUGIN_NAME.test(plugin)) throw new TypeError(`'${plugin}' is no plugin's name`);
  if (options.socket !== undefined && options.discovery !== undefined)
    throw new TypeError("'socket' and 'discovery' exclude each other");
  return {
    plugin,
    where:
      options.socket === undefined
        ? { discovery: options.discovery ?? `/run/bulkhead/discovery/${plugin}` }
        : { socket: options.socket },
    timeoutMs: inRange('timeoutMs', options.timeoutMs ?? 5000, 1, MOST_DEADLINE_MS),
    retries: whole('retries', options.retries ?? 2, 0, 10),
    hedgeAfterMs:
      options.hedgeAfterMs === undefined
        ? Infinity
        : inRange('hedgeAfterMs', options.hedgeAfterMs, 1, MOST_DEADLINE_MS),
    idempotent: new Set(options.idempotent ?? []),
    slowMs: inRange('slowMs', options.slowMs ?? 500, 1, MOST_DEADLINE_MS),
    name: text('name', options.name ?? `pid ${process.pid}`, LONGEST_NAME_BYTES),
    connections: whole('connections', options.connections ?? 1, 1, 16),
    waiting: whole('waiting', options.waiting ?? 1000, 0, 1_000_000),
    waitMs: inRange('waitMs', options.waitMs ?? 1000, 0, MOST_DEADLINE_MS),
    frameLimit: whole('frameLimit', options.frameLimit ?? FIRST_FRAME_LIMIT, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT),
    traceparent: options.traceparent,
  };
}
