import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checkpoint, type CheckpointOptions } from '../../../../src/rpc/plugin/checkpoint.ts';
import { crc32, crc32InTurns } from '../../../../src/rpc/plugin/crc32.ts';
import { Caller, Target } from './target.ts';

describe('rpc: checkpoints', () => {
  let root: string;
  let files: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'checkpoint-'));
    files = join(root, 'checkpoint');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function state(name: string, options?: CheckpointOptions): Checkpoint {
    return new Checkpoint({ STATE_DIRECTORY: root }, name, options);
  }

  it('are found again', async () => {
    const one = state('index', { schema: 2 });
    assert.equal(await one.restore(), undefined);
    await one.save(Buffer.from('first'));
    await one.save(Buffer.from('second'));
    const found = await state('index', { schema: 2 }).find();
    assert.equal(String(found?.content), 'second');
    assert.equal(found?.schema, 2);
    assert.ok(Math.abs(Date.now() - (found?.savedAt.getTime() ?? 0)) < 60_000);
    assert.equal(await state('other', { schema: 2 }).restore(), undefined);
    assert.deepEqual(readdirSync(files), ['index.2']);
  });

  it('have the form that other languages read', async () => {
    await state('index').save(Buffer.from('abc'));
    const bytes = readFileSync(join(files, 'index.0'));
    assert.equal(bytes.length, 23);
    assert.equal(bytes.toString('latin1', 0, 8), 'BKCHK001');
    assert.equal(bytes.readUInt32BE(8), crc32(bytes.subarray(12)));
    assert.equal(bytes.toString('latin1', 20), 'abc');
    // The check value that is published of this checksum.
    assert.equal(crc32(Buffer.from('123456789')), 0xcbf43926);
    const long = Buffer.alloc(3_000_000, 'xyz');
    assert.equal(await crc32InTurns(long), crc32(long));
  });

  it('of higher schemas are left alone, and those of lower ones are taken', async () => {
    await state('s', { schema: 1 }).save(Buffer.from('one'));
    await state('s', { schema: 3 }).save(Buffer.from('three'));
    assert.equal(String(await state('s', { schema: 2 }).restore()), 'one');
    assert.equal(String(await state('s', { schema: 9 }).restore()), 'three');
    assert.equal(await state('s', { schema: 0 }).restore(), undefined);
  });

  it('that are damaged are put aside, and the next lower one is taken', async () => {
    await state('s', { schema: 1 }).save(Buffer.from('one'));
    await state('s', { schema: 2 }).save(Buffer.from('two'));
    const path = join(files, 's.2');
    for (const damage of [
      (bytes: Buffer) => bytes.subarray(0, bytes.length - 1),
      (bytes: Buffer) => Buffer.concat([bytes, Buffer.from('x')]),
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 21), Buffer.from('X'), bytes.subarray(22)]),
      (bytes: Buffer) => Buffer.concat([Buffer.from('BKCHK002'), bytes.subarray(8)]),
      () => Buffer.alloc(0),
    ]) {
      await state('s', { schema: 2 }).save(Buffer.from('two'));
      writeFileSync(path, damage(readFileSync(path)));
      assert.equal(String(await state('s', { schema: 2 }).restore()), 'one');
      assert.deepEqual(readdirSync(files).sort(), ['s.1', 's.2.damaged']);
    }
  });

  it('keep four schemas of a name, the own one among them', async () => {
    for (const schema of [5, 6, 7, 8]) await state('s', { schema }).save(Buffer.from('x'));
    await state('other', { schema: 1 }).save(Buffer.from('x'));
    await state('s', { schema: 9 }).save(Buffer.from('x'));
    assert.deepEqual(readdirSync(files).sort(), ['other.1', 's.6', 's.7', 's.8', 's.9']);
    await state('s', { schema: 2 }).save(Buffer.from('x'));
    assert.deepEqual(readdirSync(files).sort(), ['other.1', 's.2', 's.7', 's.8', 's.9']);
  });

  it('that were asked for one after the other end with the last', async () => {
    const one = state('s');
    await Promise.all(Array.from({ length: 20 }, (_, number) => one.save(Buffer.from(`${number}`))));
    assert.equal(String(await one.restore()), '19');
  });

  it('that somebody did not finish are removed after an hour', async () => {
    await state('s').save(Buffer.from('x'));
    for (const [name, age] of [
      ['.s.0.old', 7200],
      ['.s.0.new', 60],
      ['.other.0.old', 7200],
    ] as const) {
      writeFileSync(join(files, name), 'x');
      utimesSync(join(files, name), Date.now() / 1000 - age, Date.now() / 1000 - age);
    }
    await state('s').save(Buffer.from('y'));
    assert.deepEqual(readdirSync(files).sort(), ['.other.0.old', '.s.0.new', 's.0']);
  });

  it('are refused without a place, with a bad name, and beyond 64 MiB', async () => {
    await assert.rejects(new Checkpoint({}, 's').save(Buffer.from('x')), /STATE_DIRECTORY/);
    for (const name of ['', 'A', 'a/b', '..', 'x'.repeat(65)]) assert.throws(() => state(name), RangeError);
    for (const schema of [-1, 1.5, 2 ** 32]) assert.throws(() => state('s', { schema }), RangeError);
    await assert.rejects(state('s').save(Buffer.alloc(64 * 1024 * 1024 + 1)), RangeError);
  });

  it('are whole whenever the one who saves is killed', async function () {
    this.timeout(60_000);
    const target = new Target();
    try {
      for (let round = 0; round < 5; round++) {
        await target.start();
        const caller = new Caller(target.socket);
        await caller.greet();
        if (round > 0) {
          const bytes = (await caller.call('load', ['s', 1])) as Buffer;
          assert.equal(bytes.length, 2_000_000);
          assert.ok(bytes.every((byte) => byte === bytes[0]));
        }
        await caller.call('save', ['s', 1, Buffer.alloc(2_000_000, round)]);
        for (let count = 0; count < 3; count++) caller.ask('save', ['s', 1, Buffer.alloc(2_000_000, 100 + count)]);
        await new Promise((resolve) => setTimeout(resolve, round * 7));
        await target.stop('SIGKILL');
        target.stderr = '';
      }
    } finally {
      target.remove();
    }
  });
});
