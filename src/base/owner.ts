import type { Owned } from './clock.ts';

/** Owners that still hold something; tests look here for leaks. */
const living = new Set<Owner>();

/**
 * Owns timers, watches, sockets and children. Releasing the owner releases all of them, newest first;
 * what is added to a released owner is released at once.
 */
export class Owner implements Owned {
  readonly #held = new Set<Owned>();
  readonly #name: string;
  #released = false;

  constructor(name: string) {
    this.#name = name;
  }

  get released(): boolean {
    return this.#released;
  }

  /** Takes the resource over and returns it. */
  own<T extends Owned>(resource: T): T {
    if (this.#released) {
      resource.release();
      return resource;
    }
    this.#held.add(resource);
    living.add(this);
    return resource;
  }

  /** Releases one resource before its time. */
  drop(resource: Owned): void {
    if (this.#held.delete(resource)) resource.release();
    if (this.#held.size === 0) living.delete(this);
  }

  release(): void {
    this.#released = true;
    const held = [...this.#held].reverse();
    this.#held.clear();
    living.delete(this);
    for (const resource of held) resource.release();
  }

  /** The names of owners that hold something now, for leak checks in tests. */
  static living(): string[] {
    return [...living].map((owner) => `${owner.#name} (${owner.#held.size})`);
  }
}

/** Wraps a function as an owned resource; it runs at most once. */
export function owned(release: () => void): Owned {
  let done = false;
  return {
    release() {
      if (done) return;
      done = true;
      release();
    },
  };
}
