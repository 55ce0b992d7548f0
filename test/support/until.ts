/** Longer than anything takes that is not stuck; ms. */
const HANG_MS = 45_000;

/** Waits for what has to become true. Ends in any case: mocha's own time limit would leave the loop running. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + HANG_MS;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`did not come: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
