import assert from 'node:assert/strict';
import { FAILURE_CLASS_NAMES } from '../../src/base/failure-class.ts';
import { type AllMeasured, failureModes } from '../failures/failure-modes.ts';
import { textOf } from './tree.ts';

/** Classes that no run of `test/failures/measure` has figures of yet; one that has must leave this list. */
const NOT_MEASURED: readonly string[] = ['hardware'];

const PAGE = 'docs/failure-modes.md';

describe(PAGE, () => {
  it("is what its rows and figures make of it; if not: 'node packaging/generate-failure-modes.mjs'", () => {
    const measured = JSON.parse(textOf('test/failures/measured.json')) as AllMeasured;
    assert.equal(textOf(PAGE), failureModes(measured));
  });

  it('has a row for each class, with what was measured of it', () => {
    const rows = textOf(PAGE)
      .split('\n')
      .filter((line) => line.startsWith('| '));
    for (const name of FAILURE_CLASS_NAMES)
      assert.ok(
        rows.some((line) => line.includes(`\`${name}\``)),
        name,
      );
    const measured = rows.filter((line) => /\bn [1-9]/.test(line));
    const missing = FAILURE_CLASS_NAMES.filter((name) => !measured.some((line) => line.includes(`\`${name}\``)));
    assert.deepEqual(missing, NOT_MEASURED);
  });
});
