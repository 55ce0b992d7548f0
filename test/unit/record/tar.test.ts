import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { TAR_END, tarHeader, tarPadding } from '../../../src/record/tar.ts';

describe('an archive', () => {
  it('is read by tar(1), with names, sizes, times and contents', () => {
    const contents = { 'id/a.txt': 'alpha', 'id/empty': '', 'id/block': 'x'.repeat(512) };
    const parts = Object.entries(contents).flatMap(([name, text]) => {
      const bytes = Buffer.from(text);
      return [tarHeader({ name, size: bytes.length, modified: 1_764_106_440 }), bytes, tarPadding(bytes.length)];
    });
    const archive = Buffer.concat([...parts, TAR_END]);
    const listed = execFileSync('tar', ['--list', '--verbose', '--utc', '--full-time'], {
      input: archive,
      encoding: 'utf8',
    });
    assert.match(listed, /^-rw------- root\/root +5 2025-11-25 21:34:00 id\/a\.txt$/m);
    assert.match(listed, /^-rw------- root\/root +0 .* id\/empty$/m);
    const taken = execFileSync('tar', ['--extract', '--to-stdout'], { input: archive, encoding: 'utf8' });
    assert.equal(taken, Object.values(contents).join(''));
  });

  it('refuses what its form has no room for', () => {
    assert.throws(() => tarHeader({ name: 'n'.repeat(101), size: 0, modified: 0 }), RangeError);
    assert.throws(() => tarHeader({ name: 'n', size: 8 ** 11, modified: 0 }), RangeError);
  });
});
