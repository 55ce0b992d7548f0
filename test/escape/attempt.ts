import { existsSync } from 'node:fs';
import type { Kind } from './kind.ts';
import type { Scene } from './scene.ts';

/** A verb of the hostile program with its words; see `program/main.c`. */
export type Step = readonly (string | number)[];

/** What an attempt has to come to. */
export type Expectation =
  /** It fails with exactly this error, or one of these. */
  | { readonly kind: 'refused'; readonly error: string | readonly string[] }
  /** It ends the sandbox, and the report names this call, or one of these. */
  | { readonly kind: 'killed'; readonly call: string | readonly string[] }
  /** It succeeds, and what it tells shows that nothing is won. */
  | { readonly kind: 'harmless'; readonly shows: RegExp };

export interface Attempt {
  readonly name: string;
  /** All but the last one only lead to what is tried, and have to succeed. */
  readonly steps: (scene: Scene) => readonly Step[] | Promise<readonly Step[]>;
  readonly expects: Expectation | ((kind: Kind) => Expectation);
  /** Looks at the host afterwards; throws when something happened there. */
  readonly after?: (scene: Scene) => void | Promise<void>;
  /** Only the filter stands in the way: without it, the kernel may grant it. */
  readonly filterOnly?: boolean;
}

export function refused(error: string | readonly string[]): Expectation {
  return { kind: 'refused', error };
}

export function killed(call: string | readonly string[]): Expectation {
  return { kind: 'killed', call };
}

export function harmless(shows: RegExp): Expectation {
  return { kind: 'harmless', shows };
}

export function expectationOf({ expects }: Attempt, kind: Kind): Expectation {
  return typeof expects === 'function' ? expects(kind) : expects;
}

/** Where the kinds of isolation refuse by different means. */
export function byKind<Value>(values: Readonly<Record<Kind, Value>>): (kind: Kind) => Value {
  return (kind) => values[kind];
}

/** A call that the filter does not know: whoever makes it dies of it. */
export function forbidden(name: string, call: readonly (string | number)[]): Attempt {
  return {
    name,
    steps: () => [['call', ...call]],
    expects: killed(String(call[0])),
  };
}

/** The same where nothing but the filter is in the way. */
export function forbiddenAlone(name: string, call: readonly (string | number)[]): Attempt {
  return { ...forbidden(name, call), filterOnly: true };
}

/**
 * Opens a file of the kernel that only root may write, or read. Which there are is up to the kernel and its settings;
 * it is refused where there is one, by whatever comes first: mode, mount, or that it is hidden.
 */
export function openingOfKernel(path: string, how: string): Attempt {
  return {
    name: `open ${path} (${how})`,
    steps: () => [['open', path, how]],
    expects: () => refused(existsSync(path) ? ['EACCES', 'EROFS', 'ENOENT'] : 'ENOENT'),
  };
}

/** Opens a file: what for is as the program's `open` has it. */
export function opening(path: string, how: string, error: string): Attempt {
  return {
    name: `open ${path} (${how})`,
    steps: () => [['open', path, how]],
    expects: refused(error),
  };
}
