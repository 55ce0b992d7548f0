import type { BySlot, SlotName } from '../plan/plan.ts';

/** The two listeners of an address: what kinds of addresses do differently. */
export interface Pair {
  /** Makes those that are missing; each is given to `made` as soon as it is there. Throws BH206, BH207, and BH601. */
  complete(there: BySlot<number>, made: (slot: SlotName, fd: number) => void): Promise<void>;
  /** Gives slot b so many percent of the new connections. Throws BH220 and BH601. */
  steer(fds: BySlot<number>, percentOfB: number): void;
  /** They have been closed. */
  remove(): void;
}
