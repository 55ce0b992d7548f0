/** Whose memory ran out when a process was killed. */
export interface OutOfMemory {
  readonly whose: 'sandbox' | 'plugin' | 'plugins' | 'host';
  readonly at: number;
}

/**
 * A payload that ends by SIGKILL within this time (ms) after the kernel killed for memory was the one; it can take a
 * while until it has given its memory back, and is reaped.
 */
export const KILL_TAKES_MS = 5000;

/** Whether a payload's end follows from this: it was killed itself, or it gave up because one of its processes was. */
export function isMemoryDeath(
  oom: OutOfMemory | undefined,
  exit: { readonly how: string; readonly status: number } | undefined,
  now: number,
): 'killed' | 'gave-up' | undefined {
  if (oom === undefined || exit === undefined || now - oom.at > KILL_TAKES_MS) return undefined;
  if ((exit.how === 'killed' && exit.status === 9) || exit.how === 'unknown') return 'killed';
  return exit.how === 'exited' && exit.status !== 0 ? 'gave-up' : undefined;
}

/** @param limit the sandbox's own limit, in words. */
export function outOfMemoryText({ whose }: OutOfMemory, limit: string): string {
  const of = {
    sandbox: `own limit ${limit}`,
    plugin: "limit of the plugin's slice",
    plugins: 'limit of all plugins together',
    host: 'of the host, not of a limit of the plugin',
  };
  return `out of memory: ${of[whose]}`;
}
