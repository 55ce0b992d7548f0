import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Journal } from '../../../../src/rpc/plugin/journal.ts';
import { KIND, readRecords, writeRecord } from '../../../../src/rpc/plugin/journal-record.ts';
import { until } from '../../../support/until.ts';
import { Caller, Target } from './target.ts';

describe('rpc: journals', function () {
  this.timeout(60_000);
  let root: string;
  let files: string;
  let journals: Journal[];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'journal-'));
    files = join(root, 'journal');
    journals = [];
  });
  afterEach(async () => {
    for (const journal of journals) await journal.close();
    rmSync(root, { recursive: true });
  });

  async function open(sandbox?: string): Promise<Journal> {
    const journal = await Journal.open({
      STATE_DIRECTORY: root,
      ...(sandbox === undefined ? {} : { BULKHEAD_SANDBOX: sandbox }),
    });
    journals.push(journal);
    return journal;
  }

  async function replayed(journal: Journal): Promise<string[]> {
    const found: string[] = [];
    await journal.replay((_id, content) => {
      found.push(String(content));
    });
    return found;
  }

  function onlyFile(): string {
    const [name, ...others] = readdirSync(files);
    assert.deepEqual(others, []);
    return join(files, String(name));
  }

  it('hand out what was accepted and not finished, once', async () => {
    const first = await open('plugin-x-a-g1.service');
    assert.match(onlyFile(), /\/plugin-x-a-g1\.service-[0-9a-f]{8}\.log$/);
    const [one] = await Promise.all(['one', 'two', 'three'].map((text) => first.accept(Buffer.from(text))));
    await first.finish(one as Buffer);
    const second = await open();
    assert.deepEqual(await replayed(second), [], 'its owner lives');
    await first.close();
    assert.deepEqual(await replayed(second), ['two', 'three']);
    assert.deepEqual(await replayed(second), []);
    assert.match(onlyFile(), /\/by-hand-[0-9a-f]{8}\.log$/);
  });

  it('are cut when nothing is open', async () => {
    const journal = await open();
    const ids = await Promise.all(['one', 'two'].map((text) => journal.accept(Buffer.from(text))));
    assert.ok(statSync(onlyFile()).size > 0);
    for (const id of ids) await journal.finish(id);
    assert.equal(statSync(onlyFile()).size, 0);
    await assert.rejects(journal.finish(ids[0] as Buffer), RangeError);
  });

  it('take so much and no more, until it is finished', async () => {
    const journal = await open();
    await assert.rejects(journal.accept(Buffer.alloc(1024 * 1024 + 1)), RangeError);
    const ids: Buffer[] = [];
    for (let count = 0; count < 63; count++) ids.push(await journal.accept(Buffer.alloc(1024 * 1024)));
    await assert.rejects(journal.accept(Buffer.alloc(1024 * 1024)), { code: 'journal-full' });
    for (const id of ids) await journal.finish(id);
    await journal.accept(Buffer.alloc(1024 * 1024));
  });

  it('count as far as they are whole', async () => {
    const first = await open();
    await first.accept(Buffer.from('whole'));
    await first.accept(Buffer.from('cut'));
    await first.close();
    truncateSync(onlyFile(), statSync(onlyFile()).size - 1);
    assert.deepEqual(await replayed(await open()), ['whole']);
  });

  it('never hand out again what was handed out, though something that is not whole came before', async () => {
    const first = await open();
    await first.accept(Buffer.from('one'));
    await first.accept(Buffer.from('two'));
    await first.close();
    const path = onlyFile();
    appendFileSync(path, Buffer.from([0, 0, 0, 99, 1]));
    const second = await open();
    // As if the one who replays died with the first of them in its hands.
    let goOn: (() => void) | undefined;
    const dies = second.replay(
      () =>
        new Promise((resolve) => {
          goOn = resolve;
        }),
    );
    await until(() => goOn !== undefined);
    const { open: left } = readRecords(readFileSync(path));
    assert.deepEqual(
      left.map(({ content }) => String(content)),
      ['two'],
    );
    goOn?.();
    goOn = undefined;
    await until(() => goOn !== undefined);
    (goOn as (() => void) | undefined)?.();
    assert.equal(await dies, 2);
  });

  it('go on with the others when one fails, and say so at the end', async () => {
    const first = await open();
    for (const text of ['one', 'two', 'three']) await first.accept(Buffer.from(text));
    await first.close();
    const second = await open();
    const seen: string[] = [];
    await assert.rejects(
      second.replay((_id, content) => {
        seen.push(String(content));
        if (seen.length === 2) throw new Error('no');
      }),
      /1 of 3 entries failed/,
    );
    assert.deepEqual(seen, ['one', 'two', 'three']);
    assert.deepEqual(await replayed(second), []);
  });

  it('are shared out between two who replay at a time', async () => {
    const first = await open();
    const texts = Array.from({ length: 20 }, (_, number) => `${number}`);
    for (const text of texts) await first.accept(Buffer.from(text));
    await first.close();
    const [second, third] = [await open(), await open()];
    const both = await Promise.all([replayed(second), replayed(third)]);
    assert.deepEqual(both.flat().sort(), [...texts].sort());
  });

  it('have the form that other languages read', () => {
    const id = Buffer.alloc(16, 7);
    const record = writeRecord(KIND.accepted, id, Buffer.from('abc'));
    assert.equal(record.toString('hex'), `00000014${record.subarray(4, 8).toString('hex')}01${'07'.repeat(16)}616263`);
    for (let cut = 0; cut < record.length; cut++) assert.equal(readRecords(record.subarray(0, cut)).open.length, 0);
    assert.equal(readRecords(Buffer.concat([record, writeRecord(KIND.handedOut, id)])).open.length, 0);
  });

  it('are replayed by the next process when one was killed', async () => {
    const target = new Target();
    try {
      await target.start();
      const caller = new Caller(target.socket);
      await caller.greet();
      const ids = await Promise.all(['a', 'b', 'c'].map((text) => caller.call('accept', [Buffer.from(text)])));
      assert.ok(ids.every((id) => (id as Buffer).length === 16));
      await caller.call('finish', [ids[1]]);
      await target.stop('SIGKILL');
      target.stderr = '';
      await target.start();
      const next = new Caller(target.socket);
      await next.greet();
      assert.deepEqual(((await next.call('replay')) as Buffer[]).map(String), ['a', 'c']);
      assert.deepEqual(await next.call('replay'), []);
      next.end();
    } finally {
      target.remove();
    }
  });
});
