import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { type SandboxRecord, SandboxRecords } from '../../../src/sandbox/sandbox-record.ts';

const RECORD: SandboxRecord = {
  format: 1,
  unit: 'plugin-hello-a-g1.service',
  plugin: 'hello',
  slot: 'a',
  generation: 1,
  version: 'v1',
  digest: '0123456789abcdef',
  machine: 'hello-a-g1',
  uidBase: 1073741824,
  cgroup: '/plugin.slice/plugin-hello.slice/plugin-hello-a-g1.service',
  payloadCgroup: '/plugin.slice/plugin-hello.slice/plugin-hello-a-g1.service/elsewhere',
  seccomp: 'native',
  startTimeoutMs: 30_000,
  stopTimeoutMs: 30_000,
  listeners: [],
};

describe('records of sandboxes', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(`${tmpdir()}/bulkhead-records-`);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const never = (file: string, why: string) => assert.fail(`${file}: ${why}`);

  it('come back as they were written', () => {
    const records = new SandboxRecords(directory);
    records.write(RECORD);
    assert.deepEqual(records.all(never), [RECORD]);
    records.remove(RECORD.unit);
    assert.deepEqual(records.all(never), []);
  });

  it("of a version that knew nspawn alone have the payload in nspawn's group", () => {
    const { payloadCgroup: _unknown, ...earlier } = RECORD;
    writeFileSync(`${directory}/${RECORD.unit}.json`, JSON.stringify(earlier));
    const [read] = new SandboxRecords(directory).all(never);
    assert.deepEqual(read, { ...RECORD, payloadCgroup: `${RECORD.cgroup}/payload` });
  });

  it('that are damaged, or of another unit, are told of and removed', () => {
    const damaged = [
      ['plugin-hello-a-g2.service', JSON.stringify(RECORD)],
      ['plugin-hello-a-g3.service', '{'],
      ['plugin-hello-a-g4.service', JSON.stringify({ ...RECORD, unit: 'plugin-hello-a-g4.service', uidBase: 'x' })],
      ['plugin-hello-a-g5.service', JSON.stringify({ ...RECORD, unit: 'plugin-hello-a-g5.service', gate: 'ajar' })],
    ] as const;
    for (const [unit, text] of damaged) writeFileSync(`${directory}/${unit}.json`, text);
    const told: string[] = [];
    assert.deepEqual(
      new SandboxRecords(directory).all((file) => told.push(file)),
      [],
    );
    assert.deepEqual(
      told.sort(),
      damaged.map(([unit]) => `${directory}/${unit}.json`),
    );
    for (const [unit] of damaged) assert.throws(() => readFileSync(`${directory}/${unit}.json`), { code: 'ENOENT' });
  });
});
