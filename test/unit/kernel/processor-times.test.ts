import assert from 'node:assert/strict';
import { parseProcessorTimes, processorTimes } from '../../../src/kernel/processor-times.ts';

describe('the times of the processors', () => {
  it('are busy with everything but idling and waiting for disks', () => {
    const text = 'cpu  10 20 30 1000 500 4 5 6 7 8\ncpu0 1 2 3 4 5 6 7 8 9 10\n';
    assert.deepEqual(parseProcessorTimes(text), { busyMs: 750, ofMs: 15_750 });
  });

  it('are unknown where the kernel says something else', () => {
    for (const text of ['', 'cpu0 1 2 3 4 5 6 7 8 9 10\n', 'cpu  1 2 3\n', 'cpu  a b c d e f g h\n'])
      assert.equal(parseProcessorTimes(text), undefined, text);
  });

  it('go on', () => {
    const before = processorTimes();
    const end = performance.now() + 50;
    while (performance.now() < end);
    const after = processorTimes();
    assert.ok(before !== undefined && after !== undefined);
    assert.ok(after.busyMs > before.busyMs && after.ofMs > before.ofMs, JSON.stringify([before, after]));
  });
});
