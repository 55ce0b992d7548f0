import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { NodeThresholds } from '../declare/configuration.ts';
import { type NodeFacts, parseNodeFacts } from '../diagnose/node-facts.ts';
import { judgeNode, type NodeHealth, type Trouble, troublesOf, UNKNOWN_HEALTH } from '../diagnose/node-health.ts';

/** While looks fail the next one waits longer and longer, up to this. */
const LONGEST_PAUSE_MS = 3_600_000;
/** What takes over is heavy enough without it. */
const FIRST_LOOK_MS = 5000;

export interface NodeWatchParts {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  /** Looks once, in another process, and gives what that wrote. It fails in time when that hangs. */
  readonly look: () => Promise<string>;
  readonly began: (trouble: Trouble) => void;
  readonly ended: (trouble: Trouble) => void;
  /** The first look that fails after one that did not. */
  readonly failed: (failure: Failure) => void;
}

export interface NodeSeen {
  readonly facts: NodeFacts;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Looks at the node again and again, and tells what goes wrong with it and what comes right. */
export class NodeWatch implements Owned {
  readonly #parts: NodeWatchParts;
  #thresholds: NodeThresholds | undefined;
  #health: NodeHealth = UNKNOWN_HEALTH;
  #seen: NodeSeen | undefined;
  #failure: Failure | undefined;
  #failures = 0;
  #timer: Owned | undefined;
  #looking = false;
  #released = false;

  constructor(parts: NodeWatchParts) {
    this.#parts = parts;
  }

  get seen(): NodeSeen | undefined {
    return this.#seen;
  }

  get troubles(): readonly Trouble[] {
    return troublesOf(this.#health);
  }

  /** Why the last look failed; undefined when it did not. */
  get failure(): Failure | undefined {
    return this.#failure;
  }

  /** Holds from now on. */
  configure(thresholds: NodeThresholds): void {
    this.#thresholds = thresholds;
    if (!this.#looking) this.#arm(FIRST_LOOK_MS);
  }

  release(): void {
    this.#released = true;
    this.#timer?.release();
  }

  #arm(pauseMs: number): void {
    this.#timer?.release();
    this.#timer = undefined;
    if (this.#released || this.#thresholds === undefined || this.#thresholds.everyMs === 'infinity') return;
    this.#timer = this.#parts.clock.after(pauseMs, () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#looking = true;
    try {
      const facts = parseNodeFacts(await this.#parts.look());
      if (facts === undefined) throw new Failure('BH605', 'the look wrote no facts');
      if (!this.#released) this.#judge(facts);
      this.#failure = undefined;
      this.#failures = 0;
    } catch (error) {
      const failure = error instanceof Failure && error.code === 'BH605' ? error : asUnseen(error);
      if (this.#failures === 0 && !this.#released) this.#parts.failed(failure);
      this.#failure = failure;
      this.#failures++;
    } finally {
      this.#looking = false;
    }
    const everyMs = this.#thresholds?.everyMs;
    if (typeof everyMs === 'number') this.#arm(Math.min(everyMs * 2 ** Math.min(this.#failures, 20), longest(everyMs)));
  }

  #judge(facts: NodeFacts): void {
    const { wall, began, ended } = this.#parts;
    this.#seen = { facts, at: wall() };
    if (this.#thresholds === undefined) return;
    const judged = judgeNode(this.#health, facts, this.#thresholds);
    this.#health = judged.health;
    for (const trouble of judged.began) began(trouble);
    for (const trouble of judged.ended) ended(trouble);
  }
}

function asUnseen(error: unknown): Failure {
  return new Failure('BH605', asFailure(error).message, { cause: error });
}

function longest(everyMs: number): number {
  return Math.max(everyMs, LONGEST_PAUSE_MS);
}
