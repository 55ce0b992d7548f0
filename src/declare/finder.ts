import type { FailureCode } from '../base/failure.ts';
import type { Place, Problem } from '../base/problem.ts';
import type { Origins } from './declaration.ts';
import { otherPlace, placeOf } from './place.ts';

/** Collects what is wrong with a whole declaration, each with its place. */
export class Finder {
  readonly found: Problem[] = [];
  readonly #origins: Origins;
  readonly #broken: ReadonlySet<string>;
  readonly #brought: ReadonlySet<string>;

  /**
   * @param broken whatever involves one of these keys was reported before and is left out
   * @param brought files of a version
   */
  constructor(origins: Origins, broken: ReadonlySet<string>, brought: ReadonlySet<string>) {
    this.#origins = origins;
    this.#broken = broken;
    this.#brought = brought;
  }

  /** Two settings that cannot hold together. Told at the first, with the place of the other. */
  conflict(key: string, message: string, other: string): void {
    if (this.isBroken(key) || this.isBroken(other)) return;
    this.add('BH110', key, message, otherPlace(this.#placeOf(other)));
  }

  add(code: FailureCode, key: string, message: string, hint?: string): void {
    this.found.push({ code, place: this.#placeOf(key), message, ...(hint === undefined ? {} : { hint }) });
  }

  isWritten(key: string): boolean {
    return this.#origins.get(key)?.kind === 'file';
  }

  /** Written by the declaration itself or a drop-in of it, not by a template or a version. */
  isOwn(key: string): boolean {
    const { file } = this.#placeOf(key);
    return this.isWritten(key) && !/(?:^|\/)templates\/[^/]+$/.test(file) && !this.#brought.has(file);
  }

  /** Whether anything below it was reported, so that something may seem to be missing. */
  isBrokenWithin(key: string): boolean {
    for (const path of this.#broken) if (path.startsWith(`${key}.`)) return true;
    return this.isBroken(key);
  }

  isBroken(key: string): boolean {
    for (const path of this.#broken)
      if (path === key || path.startsWith(`${key}[`) || key.startsWith(`${path}.`)) return true;
    return false;
  }

  #placeOf(key: string): Place {
    return placeOf(this.#origins.get(key));
  }
}
