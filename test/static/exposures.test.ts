import assert from 'node:assert/strict';
import { exposuresText } from '../support/exposures.ts';
import { textOf } from './tree.ts';

describe('exposures of our units', () => {
  it('are explained in docs/security.md as the lab test accepts them', () => {
    assert.ok(
      textOf('docs/security.md').includes(`\n\n${exposuresText()}\n\n`),
      `expected there:\n\n${exposuresText()}`,
    );
  });
});
