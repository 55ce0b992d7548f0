import type { FailureClass } from '../base/failure-class.ts';
import { printable } from '../base/printable.ts';
import type { Evidence } from './verdict.ts';

/** What a rule found, before it is said which excuses were looked at. */
export interface Finding {
  readonly class: FailureClass;
  readonly kind: string;
  readonly confidence: number;
  readonly text: string;
  readonly evidence: readonly Evidence[];
}

const LONGEST_VALUE = 200;

export function finding(
  failure: FailureClass,
  kind: string,
  confidence: number,
  text: string,
  evidence: readonly (readonly [what: string, value: string])[],
): Finding {
  return {
    class: failure,
    kind,
    confidence,
    text: printable(text, 2 * LONGEST_VALUE),
    evidence: evidence.map(([what, value]) => ({ what, value: printable(value, LONGEST_VALUE) })),
  };
}
