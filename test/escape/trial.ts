import { type Attempt, type Expectation, expectationOf } from './attempt.ts';
import { Deaths } from './deaths.ts';
import { Hostile, type Outcome } from './hostile.ts';
import type { Scene } from './scene.ts';

/** What an attempt came to; `death` is what was told of a sandbox that it ended. */
export type Result = Exclude<Outcome, { kind: 'ended' }> | { readonly kind: 'ended'; readonly death: string };

/** Runs attempts against one scene, in one sandbox after the other. */
export class Trial {
  readonly #scene: Scene;
  readonly #deaths: Deaths;
  #hostile: Hostile | undefined;

  private constructor(scene: Scene, deaths: Deaths) {
    this.#scene = scene;
    this.#deaths = deaths;
  }

  static open(scene: Scene): Trial {
    return new Trial(scene, Deaths.follow(scene.plugin));
  }

  async run(attempt: Attempt): Promise<Result> {
    const steps = await attempt.steps(this.#scene);
    if (this.#hostile?.alive !== true) this.#hostile = await Hostile.at(this.#scene.socket);
    const hostile = this.#hostile;
    for (const [index, step] of steps.entries()) {
      const outcome = await hostile.try(step);
      if (outcome.kind === 'ended') {
        hostile.close();
        return { kind: 'ended', death: await this.#deaths.of(hostile.sandbox) };
      }
      const last = index === steps.length - 1;
      if (last || outcome.kind === 'not tried') return outcome;
      if (outcome.error !== 'ok')
        return { kind: 'not tried', why: `'${step.join(' ')}' gave ${outcome.error} ${outcome.detail}` };
    }
    return { kind: 'not tried', why: 'there is nothing to try' };
  }

  /** Why the result is not as expected; undefined when it is. */
  async judge(attempt: Attempt): Promise<string | undefined> {
    const expected = expectationOf(attempt, this.#scene.kind);
    const result = await this.run(attempt);
    const wrong = compare(expected, result);
    if (wrong !== undefined) return wrong;
    try {
      await attempt.after?.(this.#scene);
      return undefined;
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : String(thrown);
    }
  }

  /** The next attempt is made by another process. */
  startOver(): void {
    this.#hostile?.close();
    this.#hostile = undefined;
  }

  close(): void {
    this.#hostile?.close();
    this.#deaths.stop();
  }
}

export function compare(expected: Expectation, result: Result): string | undefined {
  const came = describe(result);
  if (result.kind === 'not tried') return came;
  switch (expected.kind) {
    case 'refused':
      return result.kind === 'gave' && [expected.error].flat().includes(result.error)
        ? undefined
        : `${came} instead of ${expected.error}`;
    case 'killed':
      return result.kind === 'ended' && names(expected.call, result.death)
        ? undefined
        : `${came} instead of an end for '${expected.call}'`;
    case 'harmless':
      return result.kind === 'gave' && result.error === 'ok' && expected.shows.test(result.detail)
        ? undefined
        : `${came} instead of ${expected.shows}`;
  }
}

/** Whether the death is told to be for this call, or for one of these. */
function names(call: string | readonly string[], death: string): boolean {
  return [call].flat().some((name) => death === `forbidden system call '${name}' (134)`);
}

export function describe(result: Result): string {
  if (result.kind === 'gave') return `it gave ${result.error} ${result.detail}`.trim();
  return result.kind === 'ended' ? `it ended the sandbox: ${result.death}` : `could not be tried: ${result.why}`;
}
