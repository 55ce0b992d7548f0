/**
 * Whether tests that try something in all ways, or thousands of times, are to do so: when all tests are run. In the fast
 * loop they take a part of it, since they are run with each change.
 */
const THOROUGH = process.env.BULKHEAD_THOROUGH === 'yes';

/** How far on the next one of all ways is that is tried. */
export const EACH = THOROUGH ? 1 : 7;

/** So many tries of as many. */
export function tries(all: number): number {
  return THOROUGH ? all : Math.ceil(all / 10);
}
