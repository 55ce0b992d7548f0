import { type Place, placeText } from '../base/problem.ts';
import type { Origin } from './declaration.ts';

/** The place of values that nobody wrote. Compared by identity. */
export const BUILT_IN: Place = { file: 'built-in default', line: 1, column: 1 };

/** Says where the other one of two settings is that contradict each other. */
export function otherPlace(place: Place): string {
  if (place === BUILT_IN) return 'the other one is a built-in default';
  return `the other one is at ${placeText(place)}`;
}

/** The place of a value, for problems with it. */
export function placeOf(origin: Origin | undefined): Place {
  if (origin?.kind === 'file') return { file: origin.file, line: origin.line, column: origin.column };
  return origin?.kind === 'upgrade' ? nowhere(origin.what) : BUILT_IN;
}

/** The same for people. */
export function originText(origin: Origin | undefined): string {
  const place = placeOf(origin);
  return place === BUILT_IN ? place.file : placeText(place);
}

/** What nobody wrote into a file. */
export function nowhere(what: string): Place {
  return { file: what, line: 0, column: 0 };
}
