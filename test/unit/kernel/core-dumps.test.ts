import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { findCoreDump, parseCoreName } from '../../../src/kernel/core-dumps.ts';

const BOOT = '0123456789abcdef0123456789abcdef';
const UIDS = { base: 655_360, count: 65_536 };

describe('core dumps of systemd-coredump', () => {
  it('are known by what systemd wrote into their names, whatever the program is called', () => {
    const evil = `core.1000.${BOOT}.7.1764106440000000.zst`;
    assert.deepEqual(parseCoreName(`core.${evil}.656360.${BOOT}.42.1764106441500000.zst`, UIDS), {
      file: `core.${evil}.656360.${BOOT}.42.1764106441500000.zst`,
      pid: 42,
      at: 1_764_106_441_500,
      ending: '.zst',
    });
  });

  it('of ids that are of another sandbox, or in the making, are none', () => {
    assert.equal(parseCoreName(`core.main.655359.${BOOT}.42.1764106441500000.zst`, UIDS), undefined);
    assert.equal(parseCoreName(`core.main.720896.${BOOT}.42.1764106441500000`, UIDS), undefined);
    assert.equal(parseCoreName(`.#core.main.656360.${BOOT}.42.1764106441500000.zst1a2b`, UIDS), undefined);
    assert.equal(parseCoreName('core', UIDS), undefined);
  });

  describe('in a directory', () => {
    let directory = '';
    beforeEach(() => {
      directory = mkdtempSync(`${tmpdir()}/bulkhead-cores-`);
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    it('are taken when they are young enough, the youngest first', () => {
      for (const [pid, second] of [
        [1, 10],
        [2, 30],
        [3, 20],
      ])
        writeFileSync(`${directory}/core.main.656360.${BOOT}.${pid}.17641064${second}000000`, '');
      assert.equal(findCoreDump(UIDS, 1_764_106_415_000, directory)?.pid, 2);
      assert.equal(findCoreDump(UIDS, 1_764_106_431_000, directory), undefined);
    });

    it('are not to be had where there is no such directory', () => {
      assert.equal(findCoreDump(UIDS, 0, `${directory}/none`), undefined);
    });
  });
});
