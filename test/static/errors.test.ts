import assert from 'node:assert/strict';
import { FAILURES } from '../../src/base/failure.ts';
import { filesBelow, textOf } from './tree.ts';

const CATALOGUE = 'src/base/failure.ts';

/** Declared, but nothing can cause them yet; one that is used must leave this list. */
const UNUSED: readonly string[] = ['BH604'];

describe('error codes', () => {
  const used = new Map<string, string>();
  for (const file of [...filesBelow('src'), ...filesBelow('native')]) {
    if (file === CATALOGUE) continue;
    for (const [code] of textOf(file).matchAll(/\bBH\d{3}\b/g)) used.set(code, file);
  }

  it('that are used stand in the catalogue', () => {
    assert.deepEqual(
      [...used].filter(([code]) => !(code in FAILURES)),
      [],
    );
  });

  it('of the catalogue are used', () => {
    assert.deepEqual(
      Object.keys(FAILURES).filter((code) => !used.has(code)),
      UNUSED,
    );
  });

  it('come in order', () => {
    const written = [...textOf(CATALOGUE).matchAll(/^ {2}(BH\d{3}):/gm)].map(([, code]) => code);
    assert.deepEqual(written, [...written].sort());
    assert.deepEqual(written, Object.keys(FAILURES));
  });

  for (const [code, { summary, advice }] of Object.entries(FAILURES)) {
    it(`${code} has a summary and an advice of one line`, () => {
      for (const text of [summary, advice]) assert.match(text, /^[^\n]{4,160}[^.\n]$/);
    });
  }
});
