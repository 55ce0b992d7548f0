import { cutText } from './error-value.ts';
import { LEAST_FRAME_LIMIT, LONGEST_NAME_BYTES, MOST_FRAME_LIMIT, MOST_WINDOW } from './limits.ts';

/** The only version of the protocol that there is. */
export const PROTOCOL = 1;

/** What both sides may use once both have named it. */
export type Feature = 'cancel' | 'stream' | 'drain' | 'ping' | 'body' | 'descriptor';
const FEATURES: readonly string[] = ['cancel', 'stream', 'drain', 'ping', 'body', 'descriptor'];
/** A list of features beyond this is somebody's joke. */
const MOST_FEATURES = 64;

/** The parameter of `$hello`. */
export interface ClientGreeting {
  readonly protocol: number;
  /** Frame limit of the client, bytes. */
  readonly frame: number;
  readonly features: readonly Feature[];
  /** Who it is, for logs; '' when it does not say. */
  readonly name: string;
}

/** The answer to it. */
export interface ServerGreeting {
  readonly protocol: number;
  /** Frame limit of the server, bytes. */
  readonly frame: number;
  readonly features: readonly Feature[];
  /** Requests that it takes at a time on this connection. */
  readonly window: number;
  readonly plugin: string | null;
  readonly version: string | null;
  readonly sandbox: string | null;
  readonly sdk: string;
}

/** @returns what is wrong with it, as a text, when it is no greeting. */
export function readClientGreeting(params: readonly unknown[]): ClientGreeting | string {
  const [map] = params;
  if (params.length !== 1 || !isMap(map)) return 'a greeting has one map';
  const { protocol, frame, features, name } = map;
  if (!isInteger(protocol, 1, Number.MAX_SAFE_INTEGER)) return "'protocol' is not a number";
  if (protocol !== PROTOCOL) return { protocol, frame: LEAST_FRAME_LIMIT, features: [], name: '' };
  if (!isInteger(frame, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT)) return "'frame' is out of range";
  const known = readFeatures(features);
  if (known === undefined) return "'features' is not a list of strings";
  return { protocol, frame, features: known, name: textOrEmpty(name) };
}

/** @returns undefined for an answer that is none: then the server is a plain one. */
export function readServerGreeting(result: unknown): ServerGreeting | undefined {
  if (!isMap(result)) return undefined;
  const { protocol, frame, features, window, plugin, version, sandbox, sdk } = result;
  const known = readFeatures(features);
  if (protocol !== PROTOCOL || known === undefined) return undefined;
  if (!isInteger(frame, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT) || !isInteger(window, 1, MOST_WINDOW)) return undefined;
  return {
    protocol,
    frame,
    features: known,
    window,
    plugin: textOrNull(plugin),
    version: textOrNull(version),
    sandbox: textOrNull(sandbox),
    sdk: textOrEmpty(sdk),
  };
}

function readFeatures(value: unknown): readonly Feature[] | undefined {
  if (!Array.isArray(value) || value.length > MOST_FEATURES) return undefined;
  if (!value.every((each) => typeof each === 'string')) return undefined;
  return value.filter((each): each is Feature => FEATURES.includes(each));
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function isInteger(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

/** Control characters would be more than a name in a log. */
function textOrEmpty(value: unknown): string {
  if (typeof value !== 'string') return '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be replaced.
  return cutText(value.slice(0, LONGEST_NAME_BYTES).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?'), LONGEST_NAME_BYTES);
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? textOrEmpty(value) : null;
}
