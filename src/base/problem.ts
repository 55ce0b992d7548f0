import type { FailureCode } from './failure.ts';

/** A place in a text that a person wrote. Lines and columns count from 1; 0 where `file` is no file, but says what it was. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something wrong with a declaration (or template). All problems of a text are reported at once. */
export interface Problem {
  readonly code: FailureCode;
  readonly place: Place;
  /** What is wrong, with the offending key or value in single ticks. */
  readonly message: string;
  /** What to do; "did you mean 'listen'?" goes here. */
  readonly hint?: string;
}

/** `file:line:column: BH102 message (hint)`: the form that editors and people can follow. */
export function formatProblem(problem: Problem): string {
  const hint = problem.hint === undefined ? '' : ` (${problem.hint})`;
  return `${placeText(problem.place)}: ${problem.code} ${problem.message}${hint}`;
}

export function placeText({ file, line, column }: Place): string {
  return line === 0 ? file : `${file}:${line}:${column}`;
}
