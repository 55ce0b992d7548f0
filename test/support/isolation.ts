import type { Isolation } from '../../src/declare/declaration.ts';

let current: Isolation = 'nspawn';

/** How the sandboxes of plugins are made whose declaration does not say. */
export function isolationNow(): Isolation {
  return current;
}

/** The same suite for each kind of isolation: what it declares is declared for that kind. */
export function forEachIsolation(title: string, suite: (this: Mocha.Suite, isolation: Isolation) => void): void {
  for (const isolation of ['nspawn', 'scope'] as const) {
    describe(`${title} (${isolation})`, function () {
      before(() => {
        current = isolation;
      });
      after(() => {
        current = 'nspawn';
      });
      suite.call(this, isolation);
    });
  }
}
