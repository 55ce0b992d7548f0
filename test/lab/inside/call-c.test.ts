/** The SDK for C, in sandboxes. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { resolve } from 'node:path';
import { forEachIsolation } from '../../support/isolation.ts';
import { NotesStage } from './notes-stage.ts';

/** Compiled where there is a compiler, beside these tests. */
const COMPILED = resolve('examples/call-c/main');

forEachIsolation('the example call-c', function (isolation) {
  this.timeout(120_000);
  const notes = new NotesStage('call-c', isolation);

  before(() => notes.start((directory) => cpSync(COMPILED, `${directory}/main`)));
  after(() => notes.end());

  it('answers, and in parts', () => notes.answersInParts());

  it('finds its notes again when it was killed', async () => {
    await notes.outlives();
    assert.equal(await notes.call('count', '20'), 5);
  });

  it('ends when it is told to', () => notes.endsWhenTold());
});
