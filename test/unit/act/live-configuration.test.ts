import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LiveConfiguration } from '../../../src/act/live-configuration.ts';
import { DEFAULT_CONFIGURATION } from '../../../src/declare/configuration.ts';
import { loadConfiguration } from '../../../src/kernel/configuration-files.ts';

describe('LiveConfiguration', () => {
  let directory: string;
  let refusals: string[];
  let live: LiveConfiguration;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'bulkhead-'));
    refusals = [];
    live = new LiveConfiguration({
      load: () => loadConfiguration([`${directory}/etc`, `${directory}/lib`]),
      refused: (problems, held) => refusals.push(`${problems.length}, ${held}`),
    });
    mkdirSync(`${directory}/etc/bulkhead.yaml.d`, { recursive: true });
    mkdirSync(`${directory}/lib`);
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (name: string, text: string) => writeFileSync(`${directory}/${name}`, text);
  const most = () => live.current.unkillable.most;

  it('holds the defaults without a file, and takes files by their strength', () => {
    live.reload();
    assert.equal(live.current, DEFAULT_CONFIGURATION);
    write('lib/bulkhead.yaml', 'unkillable: { most: 1 }');
    live.reload();
    assert.equal(most(), 1);
    write('etc/bulkhead.yaml', 'unkillable: { most: 2 }');
    live.reload();
    assert.equal(most(), 2);
    write('etc/bulkhead.yaml.d/50-more.yaml', 'unkillable: { most: 9 }');
    live.reload();
    assert.equal(most(), 9);
    assert.deepEqual(refusals, []);
  });

  it('keeps what was good, and says so, when a text has a mistake', () => {
    write('etc/bulkhead.yaml', 'unkillable: { most: three }');
    live.reload();
    assert.equal(most(), DEFAULT_CONFIGURATION.unkillable.most);
    write('etc/bulkhead.yaml', 'unkillable: { most: 7 }');
    live.reload();
    write('etc/bulkhead.yaml', 'unkillable: { most: 8 }\nnodes: 1\ntemplate: x');
    live.reload();
    assert.equal(most(), 7);
    assert.equal(live.problems.length, 2);
    mkdirSync(`${directory}/etc/bulkhead.yaml.d/x.yaml`);
    live.reload();
    assert.equal(most(), 7);
    assert.equal(live.problems[0]?.message, 'it is not a regular file');
    assert.deepEqual(refusals, [
      '1, the defaults hold',
      '2, what was read before holds',
      '3, what was read before holds',
    ]);
  });

  it('tells those who follow it of changes only', () => {
    const told: number[] = [];
    live.follow(({ unkillable }) => told.push(unkillable.most));
    live.reload();
    write('etc/bulkhead.yaml', 'unkillable: { most: 4 }');
    live.reload();
    live.reload();
    assert.deepEqual(told, [3, 4]);
  });
});
