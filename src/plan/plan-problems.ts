import type { FailureCode } from '../base/failure.ts';
import type { Place, Problem } from '../base/problem.ts';
import type { Origins } from '../declare/declaration.ts';
import { otherPlace, placeOf } from '../declare/place.ts';

/** Collects problems at the places where the values came from. */
export class PlanProblems {
  readonly found: Problem[] = [];
  readonly #origins: Origins;

  constructor(origins: Origins) {
    this.#origins = origins;
  }

  add(code: FailureCode, key: string, message: string, hint?: string): void {
    this.found.push({ code, place: this.#placeOf(key), message, ...(hint === undefined ? {} : { hint }) });
  }

  contradiction(key: string, message: string, other: string): void {
    this.add('BH110', key, message, otherPlace(this.#placeOf(other)));
  }

  #placeOf(key: string): Place {
    return placeOf(this.#origins.get(key));
  }
}
