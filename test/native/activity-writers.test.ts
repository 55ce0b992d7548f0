/** The writers of the examples, read by the parser that the supervisor has. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, copyFileSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  ACTIVITY_HEAD_BYTES,
  ACTIVITY_PAGE_BYTES,
  type ActivitySlot,
  parseActivityPage,
  parseFlightRecords,
} from '../../src/diagnose/activity-page.ts';
import { readActivityFile } from '../../src/kernel/activity-file.ts';
import { checkout, scratch } from './native-programs.ts';

const EXAMPLES = join(checkout, 'templates', 'examples');
const WRITERS = join(checkout, 'test', 'native', 'writers');

/** How each is put together in a directory, what is called there, and how many requests its slot holds at a time. */
const LANGUAGES = {
  python: { files: ['hello-python/activity.py', 'page.py'], call: ['python3', 'page.py'], most: 2 },
  'the Python SDK': { files: ['sdk_page.py'], call: ['python3', 'sdk_page.py'], most: 2 },
  node: { files: ['hello-node/activity.js', 'page.js'], call: [process.execPath, 'page.js'], most: 2 },
  c: { files: ['hello-c/activity.h', 'page.c'], call: ['./page'], most: 1 },
} as const;

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

for (const [language, { files, call, most }] of Object.entries(LANGUAGES)) {
  describe(`the writer of activity pages in ${language}`, function () {
    this.timeout(60_000);
    let place: ReturnType<typeof scratch>;
    let page: number;
    let child: ChildProcess;
    before(async () => {
      place = scratch();
      for (const file of files) {
        const from = file.includes('/') ? join(EXAMPLES, file) : join(WRITERS, file);
        copyFileSync(from, join(place.path, file.slice(file.indexOf('/') + 1)));
      }
      if (language === 'c')
        execFileSync('cc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', 'page', 'page.c'], { cwd: place.path });
      const path = join(place.path, 'activity');
      writeFileSync(path, Buffer.alloc(ACTIVITY_PAGE_BYTES));
      page = openSync(path, 'r');
      const [program = '', ...words] = call;
      const PYTHONPATH = join(checkout, 'src', 'rpc', 'python');
      const env = { PATH: '/usr/bin:/bin', BULKHEAD_ACTIVITY: path, PYTHONPATH, PYTHONDONTWRITEBYTECODE: '1' };
      child = spawn(program, words, { cwd: place.path, env, stdio: ['pipe', 'pipe', 'inherit'] });
      const [said] = await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data');
      assert.equal(String(said), 'written\n');
    });
    after(() => {
      child?.kill('SIGKILL');
      if (page !== undefined) closeSync(page);
      place?.remove();
    });

    it('tells of the loop, and of the oldest request in hand', () => {
      const seen = parseActivityPage(readActivityFile(page, ACTIVITY_HEAD_BYTES), nowMs());
      const [slot, idle, ...more] = seen?.slots ?? [];
      assert.ok(slot !== undefined && idle?.inFlight === 0 && more.length === 0, JSON.stringify(seen?.slots.length));
      assert.equal(seen?.loopTid, child.pid);
      assert.ok(nowMs() - (seen?.tick ?? 0) < 30_000);
      const { startedAt = 0, deadline = 0 } = slot;
      assert.deepEqual(
        [slot.inFlight, slot.sequence % 2, slot.tid, slot.traceId, slot.done, slot.failed],
        [most, 0, child.pid, 'ab'.repeat(16), 1, 1],
      );
      assert.match(slot.method ?? '', /^\/oldest\/[x0]{47,48}$/);
      assert.ok(startedAt > 0 && Math.abs(deadline - startedAt - 5000) < 1000, `${startedAt} ${deadline}`);
      assert.ok(slot.progress >= 2n);
    });

    it('keeps the last records of many', () => {
      const records = parseFlightRecords(readActivityFile(page, ACTIVITY_PAGE_BYTES), nowMs());
      assert.equal(records.length, 240);
      const notes = records.filter(({ kind }) => kind === 'note');
      assert.equal(notes.at(-1)?.text, 'note 299');
      assert.equal(notes.at(-1)?.number, 4 + 299);
      const audit = records.find(({ kind }) => kind === 'audit');
      assert.match(audit?.text ?? '', /^ä{104}$/);
      const last = records.at(-1 * most);
      assert.deepEqual([last?.kind, last?.traceId, last?.tid], ['began', 'ab'.repeat(16), child.pid]);
    });

    it('never shows a slot half written whose sequence was even, and the same before and after', async () => {
      child.stdin?.write('\n');
      const seen = new Set<string>();
      const until = nowMs() + 1000;
      let looks = 0;
      while (nowMs() < until) {
        const [before, after] = [slotNow(), slotNow()];
        if (before === undefined || before.sequence % 2 === 1 || before.sequence !== after?.sequence) continue;
        looks += 1;
        const { inFlight, method = '', traceId = '' } = before;
        if (inFlight === 0 || method === '') continue;
        const digit = method[1] ?? '';
        assert.equal(method, `/${digit.repeat(50)}`);
        assert.equal(traceId, `3${digit}`.repeat(16));
        seen.add(digit);
      }
      assert.ok(looks > 20 && seen.size > 2, `${looks} looks, ${[...seen]}`);

      function slotNow(): ActivitySlot | undefined {
        return parseActivityPage(readActivityFile(page, ACTIVITY_HEAD_BYTES), nowMs())?.slots[1];
      }
    });

    it('tells of the requests that were the last when it is killed', async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
      const records = parseFlightRecords(readActivityFile(page, ACTIVITY_PAGE_BYTES), nowMs());
      const [last] = records.slice(-1);
      assert.ok(records.length >= 239, `${records.length}`);
      assert.match(last?.text ?? '', /^\/\d{50}/);
      const numbers = records.map(({ number }) => number);
      assert.ok(numbers.every((number, index) => index === 0 || number === (numbers[index - 1] ?? 0) + 1));
    });
  });
}
