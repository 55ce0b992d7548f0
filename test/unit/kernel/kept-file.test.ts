import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { KeptFile } from '../../../src/kernel/kept-file.ts';

describe('KeptFile', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(`${tmpdir()}/kept-`);
  });
  after(() => rmSync(directory, { recursive: true }));

  /** Reads until there is something, at most `most` times. */
  function readsUntilThere(file: KeptFile, most: number): number {
    for (let reads = 1; reads <= most; reads++) if (file.text() !== undefined) return reads;
    throw new Error(`nothing at ${most} reads`);
  }

  it('finds at the next read what was only being made at the first', () => {
    const path = `${directory}/new`;
    const file = new KeptFile(path);
    assert.equal(file.text(), undefined);
    writeFileSync(path, 'there');
    assert.equal(file.text(), 'there');
    file.release();
  });

  it('tries ever more seldom what is never there, and still finds it when it comes', () => {
    const path = `${directory}/late`;
    const file = new KeptFile(path);
    for (let reads = 0; reads < 1000; reads++) assert.equal(file.text(), undefined);
    writeFileSync(path, 'late');
    const reads = readsUntilThere(file, 66);
    assert.ok(reads > 1, `at read ${reads}`);
    file.release();
  });

  it('reads anew what has changed, with the descriptor that it has', () => {
    const path = `${directory}/changes`;
    writeFileSync(path, 'one');
    const file = new KeptFile(path);
    assert.equal(file.text(), 'one');
    writeFileSync(path, 'two');
    assert.equal(file.text(), 'two');
    file.release();
  });
});
