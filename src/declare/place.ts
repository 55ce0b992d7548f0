import type { Place } from '../base/problem.ts';

/** The place of values that nobody wrote. Compared by identity. */
export const BUILT_IN: Place = { file: 'built-in default', line: 1, column: 1 };

/** Says where the other one of two settings is that contradict each other. */
export function otherPlace(place: Place): string {
  if (place === BUILT_IN) return 'the other one is a built-in default';
  return `the other one is at ${place.file}:${place.line}:${place.column}`;
}
