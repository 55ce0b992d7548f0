/** The SDK for JavaScript as it is installed, in sandboxes: what needs its addon there, and what outlasts a crash. */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { forEachIsolation } from '../../support/isolation.ts';
import { must } from '../../support/system.ts';
import { NotesStage } from './notes-stage.ts';

forEachIsolation('the example call-node', function (isolation) {
  this.timeout(120_000);
  const notes = new NotesStage('call-node', isolation);

  before(() => notes.start((directory) => cpSync(notes.example, directory, { recursive: true })));
  after(() => notes.end());

  it('answers, and in parts', () => notes.answersInParts());

  it('has its page of activity as memory, so that it costs a call nothing', async () => {
    assert.match(readFileSync(`/proc/${await notes.payload()}/maps`, 'utf8'), /rw-s .*activity/);
  });

  it('finds its notes again when it was killed, and leaves its last words', async () => {
    await notes.outlives();
    assert.deepEqual(await notes.call('count'), { milk: 2, is: 1, out: 1, buy: 1 });
    const why = await must('bulkheadctl', 'why', notes.name);
    const [incident] = /\d{8}T\d{6}\S*/.exec(why) ?? [];
    assert.ok(incident !== undefined, why);
    const shown = await must('bulkheadctl', 'incidents', 'show', incident, '--json');
    assert.match(shown, /note 1 was added/);
  });

  it('ends when it is told to', () => notes.endsWhenTold());
});
