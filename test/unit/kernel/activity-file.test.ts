import assert from 'node:assert/strict';
import {
  closeSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { makeActivityFile, openActivityFile, readActivityFile } from '../../../src/kernel/activity-file.ts';

describe('the file of an activity page', () => {
  const directory = mkdtempSync(`${tmpdir()}/bulkhead-activity-`);
  const file = `${directory}/unit`;
  const owner = { uid: 70_000, gid: 70_001 };
  afterEach(() => rmSync(file, { force: true }));
  after(() => rmSync(directory, { recursive: true }));

  function read(bytes: number): Buffer | undefined {
    const fd = openActivityFile(file);
    if (fd === undefined) return undefined;
    try {
      return readActivityFile(fd, bytes);
    } finally {
      closeSync(fd);
    }
  }

  it('is made of zeros, for its owner alone', () => {
    makeActivityFile(file, 4096, owner);
    const { uid, gid, mode, size } = statSync(file);
    assert.deepEqual({ uid, gid, mode, size }, { ...owner, mode: 0o100600, size: 4096 });
    assert.deepEqual(read(4096), Buffer.alloc(4096));
  });

  it('takes the place of whatever is there, and follows no link', () => {
    const other = `${directory}/other`;
    writeFileSync(other, 'other');
    linkSync(other, file);
    makeActivityFile(file, 4096, owner);
    rmSync(file);
    symlinkSync(other, file);
    assert.throws(() => openActivityFile(file), /ELOOP/);
    makeActivityFile(file, 4096, owner);
    assert.equal(readFileSync(other, 'utf8'), 'other');
    assert.equal(statSync(other).uid, process.getuid?.());
    assert.equal(statSync(file).size, 4096);
  });

  it('cannot be made where there is no directory', () => {
    assert.throws(
      () => makeActivityFile(`${directory}/none/unit`, 4096, owner),
      (error: { code?: string }) => error.code === 'BH313',
    );
  });

  it('is read as far as it goes: shorter when it was cut, and never more than asked for', () => {
    assert.equal(openActivityFile(file), undefined);
    makeActivityFile(file, 4096, owner);
    truncateSync(file, 100);
    assert.equal(read(4096)?.length, 100);
    truncateSync(file, 1 << 30);
    assert.equal(read(4096)?.length, 4096);
  });
});
