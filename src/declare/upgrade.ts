/** How a plugin comes from one version, or one declaration, to another one. Times in ms, percentages as numbers. */
export interface UpgradeSettings {
  /**
   * `beside`: new sandboxes beside the old ones. `in-place`: the directory of those that run changes, and `signal` tells
   * them; for a change of version alone.
   */
  readonly way: UpgradeWay;
  readonly signal: string;
  /** Percent of new connections, whole numbers, ascending; 100 may be the last, and follows where it is not. */
  readonly canary: readonly number[];
  readonly bakeMs: number;
  readonly drainMs: number;
  readonly surge: Surge;
  readonly judge: JudgeSettings;
  /** Command on the host; empty for none. */
  readonly check: readonly string[];
  readonly checkTimeoutMs: number;
}

export type UpgradeWay = 'beside' | 'in-place';

/** A number of sandboxes, or percent of the pool's size. */
export type Surge = { readonly count: number } | { readonly percent: number };

export interface JudgeSettings {
  /** Requests of the new side that a judgement needs. */
  readonly samples: number;
  /** What follows at the end of a step with fewer. */
  readonly few: 'promote' | 'rollback' | 'wait';
  readonly waitMostMs: number;
  /** Points of percent by which the share of bad answers may be above that of the old side. */
  readonly errors: number | 'infinity';
  /** Percent by which a request may take longer. */
  readonly latency: number | 'infinity';
  /** Percent of the memory's limit, or of its size, by which a minute's growth may be above that of the old side. */
  readonly memory: number | 'infinity';
  readonly deaths: number;
  readonly metrics?: MetricsEndpoint;
}

/** Where a program tells its own figures, and what they are called. There are both counters, or a histogram, or all. */
export interface MetricsEndpoint {
  readonly port: number;
  readonly path: string;
  readonly requests?: string;
  readonly errors?: string;
  /** Histogram in seconds. */
  readonly latency?: string;
}

/** What holds where nothing is said. */
export const DEFAULT_UPGRADE: UpgradeSettings = {
  way: 'beside',
  signal: 'SIGHUP',
  canary: [5, 25],
  bakeMs: 10_000,
  drainMs: 30_000,
  surge: { percent: 100 },
  judge: {
    samples: 50,
    few: 'promote',
    waitMostMs: 600_000,
    errors: 1,
    latency: 50,
    memory: 20,
    deaths: 0,
  },
  check: [],
  checkTimeoutMs: 60_000,
};

/** The steps of a canary, with all connections at the end. */
export function canarySteps({ canary }: Pick<UpgradeSettings, 'canary'>): readonly number[] {
  return canary.at(-1) === 100 ? canary : [...canary, 100];
}

/** Sandboxes that there may be beside a pool of this size; one at least, and no more than the size. */
export function surgeOf(surge: Surge, size: number): number {
  const wanted = 'count' in surge ? surge.count : Math.floor((size * surge.percent) / 100);
  return Math.min(size, Math.max(1, wanted));
}
