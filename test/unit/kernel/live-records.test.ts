import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commitUpgrade, NO_LIVE_RECORD } from '../../../src/base/live-record.ts';
import { readLiveRecord, removeLiveRecord, writeLiveRecord } from '../../../src/kernel/live-records.ts';

describe('live records', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'live-'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('are nothing for a plugin that had no upgrade', () => {
    assert.deepEqual(readLiveRecord('hello', directory), NO_LIVE_RECORD);
    assert.deepEqual(readLiveRecord('hello', `${directory}/none`), NO_LIVE_RECORD);
  });

  it('are gone when they are removed, also again', () => {
    writeLiveRecord('hello', NO_LIVE_RECORD, directory);
    for (let n = 0; n < 2; n++) removeLiveRecord('hello', directory);
    assert.deepEqual(readdirSync(directory), []);
  });

  it('come back as they were written, root alone may read them, and nothing is left beside them', () => {
    const place = `${directory}/live`;
    const record = commitUpgrade(NO_LIVE_RECORD, {
      version: 'v2',
      previous: 'v1',
      declared: 'v1',
      at: 5,
      by: 'uid 0',
    });
    writeLiveRecord('hello', record, place);
    assert.deepEqual(readLiveRecord('hello', place), record);
    assert.deepEqual(readdirSync(place), ['hello.json']);
    assert.equal(statSync(place).mode & 0o777, 0o700);
    assert.equal(statSync(`${place}/hello.json`).mode & 0o777, 0o600);
  });

  it('that are damaged are told of with their file, and are not guessed', () => {
    writeFileSync(`${directory}/hello.json`, '{"format":1,"plugin":"hello"');
    const path = `${directory}/hello.json`;
    assert.throws(() => readLiveRecord('hello', directory), { code: 'BH210', message: new RegExp(`^'${path}': `) });
  });

  it('are not written when they could not be read again', () => {
    const underWay = { version: '../v1', since: 1 };
    assert.throws(() => writeLiveRecord('hello', { ...NO_LIVE_RECORD, underWay }, directory), RangeError);
    assert.deepEqual(readdirSync(directory), []);
  });

  it('are not read through a link', () => {
    symlinkSync('/etc/passwd', `${directory}/hello.json`);
    assert.throws(() => readLiveRecord('hello', directory), { code: 'BH210' });
  });
});
