import type { Owned } from '../base/clock.ts';
import { owned } from '../base/owner.ts';
import type { Head, Incoming } from './wire.ts';

export const DBUS_NAME = 'org.freedesktop.DBus';
export const DBUS_PATH = '/org/freedesktop/DBus';

/** Which signals somebody wants. */
export interface SignalPattern {
  /** Who may send it: a well-known name, whose present owner is tracked, or a unique name. Never left out. */
  readonly sender: string;
  readonly interface: string;
  readonly member: string;
  readonly path?: string;
  /** The path itself and everything below. */
  readonly pathNamespace?: string;
  /** Value of the first argument, when that is a string. */
  readonly arg0?: string;
  /** Looks at the header of a signal that fits so far; false drops it before anything of its body is decoded. */
  readonly accept?: (head: Head) => boolean;
}

export interface Signal {
  readonly head: Head;
  readonly body: readonly unknown[];
}

export interface SignalEntry {
  readonly pattern: SignalPattern;
  readonly run: (signal: Signal) => void;
}

/** The rule for AddMatch; it narrows what the bus daemon sends us, but never proves who sent it. */
export function matchRule(pattern: SignalPattern): string {
  const parts = [
    `type='signal'`,
    `sender='${pattern.sender}'`,
    `interface='${pattern.interface}'`,
    `member='${pattern.member}'`,
  ];
  if (pattern.path !== undefined) parts.push(`path='${pattern.path}'`);
  if (pattern.pathNamespace !== undefined) parts.push(`path_namespace='${pattern.pathNamespace}'`);
  if (pattern.arg0 !== undefined) parts.push(`arg0='${pattern.arg0}'`);
  return parts.join(',');
}

/** What the router did with a signal. `malformed`: wanted and from the right sender, but not decodable. */
export type Routed = 'delivered' | 'unwanted' | 'spoofed' | 'malformed';

/** Finds who wants a signal, and proves that it comes from whom they expect. */
export class SignalRouter {
  readonly #entries = new Set<SignalEntry>();
  readonly #onDefect: (thrown: unknown) => void;

  constructor(onDefect: (thrown: unknown) => void) {
    this.#onDefect = onDefect;
  }

  add(entry: SignalEntry): Owned {
    this.#entries.add(entry);
    return owned(() => this.#entries.delete(entry));
  }

  /**
   * Any user may send a signal straight to our unique name, past all match rules; so a signal counts only when
   * `trusted(pattern.sender, head.sender)` holds.
   */
  route(message: Incoming, trusted: (expected: string, actual: string | undefined) => boolean): Routed {
    let result: Routed = 'unwanted';
    let body: unknown[] | undefined;
    for (const entry of [...this.#entries]) {
      if (!fits(entry.pattern, message)) continue;
      if (!trusted(entry.pattern.sender, message.head.sender)) {
        if (result === 'unwanted') result = 'spoofed';
        continue;
      }
      try {
        body ??= message.body();
      } catch {
        return 'malformed';
      }
      result = 'delivered';
      try {
        if (this.#entries.has(entry)) entry.run({ head: message.head, body });
      } catch (thrown) {
        this.#onDefect(thrown);
      }
    }
    return result;
  }
}

function fits(pattern: SignalPattern, message: Incoming): boolean {
  const { head } = message;
  if (head.member !== pattern.member || head.interface !== pattern.interface) return false;
  if (pattern.path !== undefined && head.path !== pattern.path) return false;
  const root = pattern.pathNamespace;
  if (root !== undefined && head.path !== root && !head.path?.startsWith(`${root}/`)) return false;
  if (pattern.accept?.(head) === false) return false;
  return pattern.arg0 === undefined || message.firstString() === pattern.arg0;
}
