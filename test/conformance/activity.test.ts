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
} from '../../src/diagnose/activity-page.ts';
import { readActivityFile } from '../../src/kernel/activity-file.ts';
import { dismissPeers, HANG_MS } from './peer/peer.ts';
import { kinds, Target, until } from './target.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

/** Read by the parser that the supervisor has. */
for (const kind of kinds())
  describe(`the activity page (${kind.name})`, function () {
    this.timeout(3 * HANG_MS);
    let directory: string;
    let page: number;
    let target: Target;
    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'bulkhead-activity-'));
      const path = join(directory, 'activity');
      writeFileSync(path, Buffer.alloc(ACTIVITY_PAGE_BYTES));
      page = openSync(path, 'r');
      target = await Target.start(kind, { environment: { BULKHEAD_ACTIVITY: path } });
    });
    afterEach(() => dismissPeers());
    after(async () => {
      await target?.remove();
      if (page !== undefined) closeSync(page);
      rmSync(directory, { recursive: true, force: true });
    });

    const now = () => Number(process.hrtime.bigint()) / 1e6;
    const read = (): ActivityPage => {
      const seen = parseActivityPage(readActivityFile(page, ACTIVITY_PAGE_BYTES), now());
      assert.ok(seen !== undefined, 'the page is not valid');
      return seen;
    };
    const records = (): readonly FlightRecord[] =>
      parseFlightRecords(readActivityFile(page, ACTIVITY_PAGE_BYTES), now());
    const busy = () => read().slots.filter(({ inFlight }) => inFlight > 0);

    it('has a loop that ticks', async () => {
      const { tick = 0, loopTid } = read();
      assert.ok(loopTid !== undefined && loopTid > 0);
      assert.ok(now() - tick < HANG_MS, `${now() - tick} ms ago`);
      await until('the next tick', () => (read().tick ?? 0) > tick);
    });

    it('tells of a request while it is under way: method, trace, deadline, since when', async () => {
      const peer = await target.connect();
      const began = now();
      const id = peer.ask('sleep', [60_000], { deadline: 50_000, traceparent: TRACEPARENT });
      // Its fields may be written a moment after its number.
      await until('a busy slot', () => busy()[0]?.method === 'sleep');
      const [slot] = busy();
      assert.ok(slot !== undefined);
      assert.deepEqual([slot.inFlight, slot.method, slot.traceId], [1, 'sleep', TRACE]);
      assert.ok((slot.tid ?? 0) > 0);
      assert.ok(Math.abs((slot.startedAt ?? 0) - began) < 10_000, `${slot.startedAt} ${began}`);
      const deadline = (slot.deadline ?? 0) - began;
      assert.ok(deadline > 40_000 && deadline < 60_000, `${deadline}`);
      peer.send([2, '$cancel', [id]]);
      await peer.answer(id);
      await until('nobody busy', () => busy().length === 0);
    });

    it('counts what ended well and what ended badly', async () => {
      const peer = await target.connect();
      const sum = (which: 'done' | 'failed') => read().slots.reduce((all, slot) => all + slot[which], 0);
      const [done, failed] = [sum('done'), sum('failed')];
      for (let each = 0; each < 5; each += 1) await peer.result('echo', each);
      for (let each = 0; each < 3; each += 1) await peer.problem('throw', ['bad']);
      await until('the counts', () => sum('done') === done + 5 && sum('failed') === failed + 3).catch(() => {
        assert.deepEqual([sum('done') - done, sum('failed') - failed], [5, 3]);
      });
    });

    it('records what begins and how it ends, notes and audit lines', async () => {
      const peer = await target.connect();
      const before = records().at(-1)?.number ?? -1;
      await peer.call('echo', ['a'], { traceparent: TRACEPARENT });
      await peer.result('note', 'half way');
      await peer.result('audit', `opened ${'ä'.repeat(200)}`);
      await peer.problem('throw', ['bad']);
      const since = (): FlightRecord[] => records().filter(({ number }) => number > before);
      await until('the bad end', () => since().some(({ kind }) => kind === 'ended-badly'));
      const seen = since();
      const of = (wanted: string) => seen.filter((record) => record.kind === wanted);
      assert.ok(of('began').length >= 4 && of('ended-well').length >= 3, JSON.stringify(seen));
      const [echo] = of('ended-well');
      assert.deepEqual([echo?.text, echo?.traceId], ['echo', TRACE]);
      assert.deepEqual(
        of('note').map(({ text }) => text),
        ['half way'],
      );
      const [audit] = of('audit');
      // Cut between two characters, or the parser would show none of it.
      assert.match(audit?.text ?? '', /^opened ä{99,100}$/);
    });

    it('grows while a request says that it gets on', async () => {
      const peer = await target.connect();
      const progress = () => read().slots.reduce((all, slot) => all + slot.progress, 0n);
      const before = progress();
      await peer.result('flag');
      await until('progress', () => progress() > before);
    });

    it('leaves last words when it is killed', async () => {
      const peer = await target.connect();
      peer.ask('sleep', [60_000], { traceparent: TRACEPARENT });
      await peer.result('note', 'the last word');
      target.kill('SIGKILL');
      await target.ended;
      assert.ok(busy().some(({ method }) => method === 'sleep'));
      assert.ok(records().some(({ kind, text }) => kind === 'note' && text === 'the last word'));
    });
  });
