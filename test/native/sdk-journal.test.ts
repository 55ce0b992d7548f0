/** The journal of the C SDK on a file system that fails; all else about it is held by the conformance suite. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { payload, prepare, scratch } from './native-programs.ts';

/** Of a record with one byte of content, and of one without: docs/checkpoints.md. */
const ACCEPTED = 8 + 17 + 1;
const FINISHED = 8 + 17;
const EIO = -5;
const ENOENT = -2;

describe('the journal of the C SDK', function () {
  this.timeout(20_000);
  before(prepare);

  it('keeps nothing of what it has not accepted, and keeps open what it could not finish', () => {
    const directory = scratch();
    try {
      const out = execFileSync(payload('journal-failing'), {
        env: { STATE_DIRECTORY: directory.path },
        encoding: 'utf8',
      });
      const steps = out.trimEnd().split('\n');
      assert.deepEqual(steps, [
        `accept 0 ${ACCEPTED}`,
        `accept-without-sync ${EIO} ${ACCEPTED}`,
        `finish-refused ${ENOENT} ${ACCEPTED}`,
        `accept-without-write ${EIO} ${ACCEPTED}`,
        `accept 0 ${2 * ACCEPTED}`,
        `finish-without-write ${EIO} ${2 * ACCEPTED}`,
        `finish 0 ${2 * ACCEPTED + FINISHED}`,
        `finish-without-cut ${EIO} ${2 * ACCEPTED + FINISHED}`,
        'finish 0 0',
      ]);
    } finally {
      directory.remove();
    }
  });
});
