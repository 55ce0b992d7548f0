import type { CrashToken } from './discovery-message.ts';

/** Deaths that are remembered: whoever had a call in the hands of an earlier one knows by now. */
const MOST_TOKENS = 64;

interface Mourner {
  readonly generation: number;
  /** Monotonic ms. */
  readonly until: number;
  readonly told: (token: CrashToken | undefined) => void;
}

/** Which sandboxes died, and who waits to know why. Pure. */
export class CrashTokens {
  readonly #tokens = new Map<number, CrashToken>();
  readonly #mourners = new Set<Mourner>();

  get waiting(): number {
    return this.#mourners.size;
  }

  of(generation: number): CrashToken | undefined {
    return this.#tokens.get(generation);
  }

  remember(token: CrashToken): void {
    // Told twice, it is the newest again.
    this.#tokens.delete(token.generation);
    this.#tokens.set(token.generation, token);
    for (const generation of this.#tokens.keys()) {
      if (this.#tokens.size <= MOST_TOKENS) break;
      this.#tokens.delete(generation);
    }
    if (token.incident === undefined) return;
    for (const mourner of this.#mourners) if (mourner.generation === token.generation) this.#tell(mourner);
  }

  /** Calls when the incident of that sandbox's death has a name, or at `until`, with what is known then. */
  whenNamed(generation: number, until: number, told: (token: CrashToken | undefined) => void): void {
    const token = this.#tokens.get(generation);
    if (token?.incident !== undefined) told(token);
    else this.#mourners.add({ generation, until, told });
  }

  /** Whose time is over is told what there is. */
  sweep(now: number): void {
    for (const mourner of this.#mourners) if (now >= mourner.until) this.#tell(mourner);
  }

  /** Nobody will tell more. */
  giveUp(): void {
    for (const mourner of this.#mourners) this.#tell(mourner);
  }

  #tell(mourner: Mourner): void {
    this.#mourners.delete(mourner);
    mourner.told(this.#tokens.get(mourner.generation));
  }
}
