import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Latency } from '../../../../src/rpc/client/latency.ts';
import { OwnTime } from '../../../../src/rpc/client/own-time.ts';
import { StreamBuffer } from '../../../../src/rpc/client/stream-buffer.ts';

describe('rpc client: latencies', () => {
  it('are 0 of no call', () => {
    assert.equal(new Latency().quantile(0.99), 0);
  });

  it('are told to an eighth', () => {
    const times = fc.array(fc.double({ min: 0.001, max: 100_000, noNaN: true }), { minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(times, fc.constantFrom(0.5, 0.9, 0.99, 1), (list, share) => {
        const latency = new Latency();
        for (const ms of list) latency.add(ms);
        const sorted = [...list].sort((one, other) => one - other);
        const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
        const told = latency.quantile(share);
        assert.ok(told >= exact - 1e-9 && told <= exact * 1.125 + 1e-9, `${told} for ${exact}`);
      }),
    );
  });

  it('beyond two minutes are the longest', () => {
    const latency = new Latency();
    latency.add(3_600_000);
    assert.equal(latency.longestMs, 3_600_000);
    assert.ok(latency.quantile(0.5) > 134_000);
  });
});

describe('rpc client: time of its own', () => {
  it('is lost when a tick comes late', () => {
    const time = new OwnTime(10, 0);
    assert.equal(time.tick(12), false);
    assert.equal(time.tick(522), true);
    assert.equal(time.lostMs, 500);
    time.start(10_000);
    assert.equal(time.tick(10_010), false);
    assert.equal(time.lostMs, 500);
  });
});

describe('rpc client: parts of a stream', () => {
  it('never wait in greater number than there is credit', async () => {
    const script = fc.array(fc.boolean(), { maxLength: 500 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 16 }), script, async (credit, steps) => {
        const buffer = new StreamBuffer<number>(credit);
        let open = credit;
        let [put, taken] = [0, 0];
        for (const give of steps) {
          if (give) {
            assert.equal(buffer.put(put), open > 0);
            if (open === 0) continue;
            open--;
            put++;
          } else if (put > taken) {
            assert.deepEqual(await buffer.take(), { done: false, value: taken });
            taken++;
          }
          open += buffer.refill();
          assert.ok(open + put - taken <= credit, `${open} open, ${put - taken} wait, credit ${credit}`);
        }
      }),
    );
  });

  it('can be taken after the end, and an error comes behind them once', async () => {
    const buffer = new StreamBuffer<string>(4);
    buffer.put('one');
    buffer.fail(new Error('end'));
    buffer.end('too late');
    assert.deepEqual(await buffer.take(), { done: false, value: 'one' });
    await assert.rejects(buffer.take(), /end/);
    assert.deepEqual(await buffer.take(), { done: true, value: undefined });
  });

  it('are for one reader at a time', async () => {
    const buffer = new StreamBuffer<string>(1);
    const first = buffer.take();
    await assert.rejects(buffer.take(), TypeError);
    buffer.put('one');
    assert.equal((await first).value, 'one');
  });
});
