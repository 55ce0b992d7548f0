/** What a signal gives up. */
export interface Abortable {
  abort(cause: unknown): void;
}

/** By signal, what it gives up; of all clients, since they may share one. */
const watched = new WeakMap<AbortSignal, Set<Abortable>>();

/**
 * Gives something up when the signal says so, until released. However many calls have the same signal, it has one
 * listener, and keeps it: Node.js takes more than ten for a leak.
 *
 * @param signal that has not fired
 * @returns releases
 */
export function onAbort(signal: AbortSignal, what: Abortable): () => void {
  const all = watched.get(signal) ?? new Set();
  if (!watched.has(signal)) {
    watched.set(signal, all);
    signal.addEventListener('abort', () => {
      for (const each of [...all]) each.abort(signal.reason);
    });
  }
  all.add(what);
  return () => void all.delete(what);
}
