import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { deviceFacts, deviceNumbers, imageFormat, stampOf } from '../../../src/kernel/file-facts.ts';

describe('facts about files', () => {
  const directory = mkdtempSync(`${tmpdir()}/bulkhead-facts-`);
  const file = `${directory}/file`;
  after(() => rmSync(directory, { recursive: true }));

  function image(offset: number, bytes: readonly number[]): string {
    const content = Buffer.alloc(2048);
    content.set(bytes, offset);
    writeFileSync(file, content);
    return file;
  }

  it('know an image by its magic number, and no other file', () => {
    assert.equal(imageFormat(image(0, [0x68, 0x73, 0x71, 0x73])), 'squashfs');
    assert.equal(imageFormat(image(1024, [0xe2, 0xe1, 0xf5, 0xe0])), 'erofs');
    assert.equal(imageFormat(image(4, [0x68, 0x73, 0x71, 0x73])), undefined);
    writeFileSync(file, 'hsqs');
    assert.equal(imageFormat(file), undefined);
    assert.equal(imageFormat(directory), undefined);
    assert.equal(imageFormat('/dev/zero'), undefined);
    assert.equal(imageFormat(`${directory}/none`), undefined);
  });

  it('have a stamp that a rename and a rename back change', () => {
    writeFileSync(file, 'x');
    const before = stampOf(file);
    assert.equal(stampOf(file), before);
    renameSync(file, `${file}.aside`);
    assert.equal(stampOf(file), undefined);
    renameSync(`${file}.aside`, file);
    assert.notEqual(stampOf(file), before);
  });

  it('tell device nodes, and their numbers, from other files', () => {
    assert.deepEqual(deviceFacts('/dev/null'), { kind: 'char', major: 1, minor: 3, mode: 0o666 });
    assert.equal(deviceFacts('/dev')?.kind, 'other');
    assert.equal(deviceFacts('/dev/bulkhead-none'), undefined);
    assert.deepEqual(deviceNumbers(statSync('/dev/tty').rdev), { major: 5, minor: 0 });
    assert.deepEqual(deviceNumbers((8 << 8) | 17), { major: 8, minor: 17 });
    assert.deepEqual(deviceNumbers((259 << 8) | (0x123 << 20) | 0x45), { major: 259, minor: 0x12345 });
  });
});
