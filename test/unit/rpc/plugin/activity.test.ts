import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ACTIVITY_PAGE_BYTES,
  type ActivityPage,
  type FlightRecord,
  parseActivityPage,
  parseFlightRecords,
} from '../../../../src/diagnose/activity-page.ts';
import { readActivityFile } from '../../../../src/kernel/activity-file.ts';
import { until } from '../../../support/until.ts';
import { Caller, Target } from './target.ts';

const TRACE = 'ab'.repeat(16);

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** With the page mapped, and without the addon that maps it. */
for (const [how, addon] of [
  ['mapped', {}],
  ['written', { BULKHEAD_ADDON: '/nowhere/bulkhead.node' }],
] as const)
  describe(`rpc: the page of activity, ${how}`, function () {
    this.timeout(30_000);
    const directory = mkdtempSync(join(tmpdir(), 'activity-'));
    const target = new Target();
    let page: number;
    let caller: Caller;

    before(async () => {
      const path = join(directory, 'page');
      writeFileSync(path, Buffer.alloc(ACTIVITY_PAGE_BYTES));
      page = openSync(path, 'r');
      await target.start({ BULKHEAD_ACTIVITY: path, ...addon });
      caller = new Caller(target.socket);
      await caller.greet();
    });
    after(() => {
      target.remove();
      closeSync(page);
      rmSync(directory, { recursive: true });
    });

    function read(): { page: ActivityPage | undefined; records: readonly FlightRecord[] } {
      const bytes = readActivityFile(page, ACTIVITY_PAGE_BYTES);
      return { page: parseActivityPage(bytes, nowMs()), records: parseFlightRecords(bytes, nowMs()) };
    }

    it('tells of the loop, and of the oldest call in hand', async () => {
      const traceparent = `00-${TRACE}-${'cd'.repeat(8)}-01`;
      const id = caller.ask('sleep', [60_000], { deadline: 40_000, traceparent });
      caller.ask('sleep', [60_000]);
      await caller.call('echo', [1]);
      await until(() => read().page?.slots[0]?.inFlight === 2);
      const seen = read().page;
      const slot = seen?.slots[0];
      assert.equal(seen?.loopTid, target.child?.pid);
      assert.ok(nowMs() - (seen?.tick ?? 0) < 30_000);
      assert.deepEqual(
        [slot?.method, slot?.tid, slot?.traceId, slot?.done, slot?.failed],
        ['sleep', target.child?.pid, TRACE, 1, 0],
      );
      const left = (slot?.deadline ?? 0) - (slot?.startedAt ?? 0);
      assert.ok(Math.abs(left - 40_000) < 100, String(left));
      caller.send([2, '$cancel', [id]]);
      await assert.rejects(caller.answer(id));
      await until(() => read().page?.slots[0]?.inFlight === 1);
      assert.equal(read().page?.slots[0]?.failed, 1);
      assert.equal(read().page?.slots[0]?.traceId, undefined);
    });

    it('shows that a call gets on', async () => {
      const before = read().page?.slots[0]?.progress ?? 0n;
      await caller.call('flag');
      await until(() => (read().page?.slots[0]?.progress ?? 0n) >= before + 2n);
    });

    it('is there while the loop is blocked', async () => {
      const other = new Caller(target.socket);
      await other.greet();
      await until(() => (read().page?.slots[0]?.inFlight ?? 0) >= 1);
      const sequence = read().page?.slots[0]?.sequence;
      other.ask('block', [600]);
      await until(() => read().records.some(({ kind, text }) => kind === 'began' && text === 'block'));
      await until(() => read().records.some(({ kind, text }) => kind === 'ended-well' && text === 'block'));
      assert.notEqual(read().page?.slots[0]?.sequence, sequence);
      other.end();
    });

    it('keeps lines that are read when the process was killed', async () => {
      await caller.call('note', [`${'ä'.repeat(103)}€uro`]);
      await caller.call('audit', ['who did what'], { traceparent: `00-${TRACE}-${'cd'.repeat(8)}-01` });
      for (let count = 0; count < 120; count++) await caller.call('echo', [1]);
      await caller.call('audit', ['at the end']);
      await target.stop('SIGKILL');
      const { records } = read();
      assert.ok(records.length >= 239, String(records.length));
      assert.deepEqual(
        records.filter(({ kind }) => kind === 'audit').map(({ text, traceId }) => [text, traceId]),
        [['at the end', undefined]],
      );
      assert.equal(records.at(-1)?.text, 'audit');
    });
  });
