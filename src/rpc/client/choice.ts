/** What is known of somebody who could take a call. */
export interface Candidate {
  readonly slot: string;
  /** Percent of the calls that its slot gets. */
  readonly weight: number;
  /** Health, 0 to 100. */
  readonly score: number;
  /** Requests in its hands. */
  readonly outstanding: number;
}

interface Slot<T> {
  readonly weight: number;
  readonly candidates: readonly T[];
}

/**
 * Chooses who takes a call: first the slot, by its weight, so that a canary gets its percent however many sandboxes it
 * has; then, of two of the slot taken at random, the one with less to do for its score. Two are enough to leave a busy
 * one alone, and unlike the least busy of all they do not send everybody's calls to the same one. Pure.
 */
export class Choice<T extends Candidate> {
  readonly #slots: readonly Slot<T>[];
  readonly #weights: number;

  /** The candidates of a slot all say its weight; if they do not, the greatest counts. */
  constructor(candidates: Iterable<T>) {
    const slots = new Map<string, { weight: number; candidates: T[] }>();
    for (const candidate of candidates) {
      const slot = slots.get(candidate.slot) ?? { weight: 0, candidates: [] };
      slot.weight = Math.max(slot.weight, candidate.weight);
      slot.candidates.push(candidate);
      slots.set(candidate.slot, slot);
    }
    this.#slots = [...slots.values()];
    this.#weights = this.#slots.reduce((sum, { weight }) => sum + weight, 0);
  }

  /**
   * Somebody who is `usable`, of the slot whose turn it is, or of another one if nobody of that is.
   *
   * @param random numbers from 0 up to 1.
   */
  pick(usable: (candidate: T) => boolean, random: () => number): T | undefined {
    const slot = this.#slotFor(random);
    if (slot === undefined) return undefined;
    const found = ofTwo(slot.candidates, usable, random) ?? leastBusy(slot.candidates, usable);
    if (found !== undefined) return found;
    // A weight of 0 says that a slot is to get nothing, not even when the other one is down: its version is on trial.
    const rest = this.#slots.filter((other) => other !== slot && other.weight > 0);
    return leastBusy(
      rest.flatMap((other) => other.candidates),
      usable,
    );
  }

  #slotFor(random: () => number): Slot<T> | undefined {
    if (this.#slots.length === 1) return this.#slots[0];
    let left = random() * this.#weights;
    for (const slot of this.#slots) {
      left -= slot.weight;
      if (left < 0) return slot;
    }
    return this.#slots[0];
  }
}

function ofTwo<T extends Candidate>(
  candidates: readonly T[],
  usable: (candidate: T) => boolean,
  random: () => number,
): T | undefined {
  const count = candidates.length;
  const at = Math.floor(random() * count);
  const one = candidates[at];
  if (one === undefined || count === 1) return one !== undefined && usable(one) ? one : undefined;
  // Of the others, so that two of two are both looked at.
  const other = candidates[(at + 1 + Math.floor(random() * (count - 1))) % count];
  const [first, second] = other !== undefined && burden(other) < burden(one) ? [other, one] : [one, other];
  if (usable(first)) return first;
  return second !== undefined && usable(second) ? second : undefined;
}

function leastBusy<T extends Candidate>(candidates: readonly T[], usable: (candidate: T) => boolean): T | undefined {
  let least: T | undefined;
  for (const candidate of candidates) {
    if (least !== undefined && burden(least) <= burden(candidate)) continue;
    if (usable(candidate)) least = candidate;
  }
  return least;
}

/** Who has half the score is asked half as much. A score of 0 is not taken at its word: somebody has to serve. */
function burden({ outstanding, score }: Candidate): number {
  return (outstanding + 1) / Math.max(1, score);
}
