import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafeMode, type SafeModePlaces, turnOffSafeMode, turnOnSafeMode } from '../../../src/kernel/safe-mode.ts';
import { textOf } from '../../static/tree.ts';

describe('safe mode', () => {
  let directory: string;
  let places: SafeModePlaces;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-'));
    places = { on: `${directory}/on`, off: `${directory}/off`, commandLine: `${directory}/cmdline` };
    writeFileSync(places.commandLine, 'quiet root=/dev/sda1\n');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('is off by itself, on with its reason, and off again', () => {
    assert.equal(readSafeMode(places), undefined);
    turnOnSafeMode('turned on by me', places);
    assert.equal(readSafeMode(places), 'turned on by me');
    turnOnSafeMode('by another one', places);
    assert.equal(readSafeMode(places), 'by another one');
    turnOffSafeMode(places);
    assert.equal(readSafeMode(places), undefined);
    assert.ok(!existsSync(places.off), 'nothing has to be taken back');
  });

  it('is on with the word on the command line, until it is turned off', () => {
    for (const text of [
      'quiet bulkhead.safe-mode\n',
      'bulkhead.safe-mode=1 quiet',
      '/sbin/init\0bulkhead.safe-mode\0',
    ]) {
      writeFileSync(places.commandLine, text);
      assert.equal(readSafeMode(places), "'bulkhead.safe-mode' is on the command line of the kernel");
    }
    turnOffSafeMode(places);
    assert.equal(readSafeMode(places), undefined);
    turnOnSafeMode('again', places);
    assert.equal(readSafeMode(places), 'again');
    turnOffSafeMode(places);
    assert.equal(readSafeMode(places), undefined);
    for (const other of ['bulkhead.safe-modes', 'not.bulkhead.safe-mode', 'x=bulkhead.safe-mode']) {
      rmSync(places.off, { force: true });
      writeFileSync(places.commandLine, other);
      assert.equal(readSafeMode(places), undefined, other);
    }
  });

  it('bounds the reason, and is on without one', () => {
    writeFileSync(places.on, '');
    assert.equal(readSafeMode(places), `there is a file '${places.on}'`);
    writeFileSync(places.on, 'x'.repeat(1000));
    assert.equal(readSafeMode(places)?.length, 200);
    assert.equal(readFileSync(places.on, 'utf8').length, 1000);
  });

  it('is what the unit of the anchors asks for', () => {
    const lines = textOf('units/plugin@.service').split('\n');
    for (const condition of [
      'ConditionPathExists=!/etc/bulkhead/safe-mode',
      'ConditionKernelCommandLine=|!bulkhead.safe-mode',
      'ConditionPathExists=|/run/bulkhead/safe-mode-off',
    ])
      assert.ok(lines.includes(condition), condition);
  });
});
