import assert from 'node:assert/strict';
import { type LookBounds, lookAtDescriptors, lookAtTasks } from '../../../src/kernel/task-evidence.ts';

describe('a look at what lives', () => {
  const bounds: LookBounds = { most: 64, least: 0, late: () => false };

  it('has name, state and place in the kernel of each thread', () => {
    const { tasks, more } = lookAtTasks([process.pid], bounds);
    assert.equal(more, false);
    const own = tasks.find(({ tid }) => tid === process.pid);
    assert.deepEqual([own?.pid, own?.state], [process.pid, 'R']);
    // It is in the read(2) of this very file.
    assert.match(own?.syscall ?? '', /^0 0x/);
    assert.match(own?.schedstat ?? '', /^\d+ \d+ \d+$/);
    const asleep = tasks.find(({ state }) => state === 'S');
    assert.match(asleep?.syscall ?? '', /^\d+ 0x/);
  });

  it('ends at so many, and when its time is over, and says so', () => {
    assert.deepEqual(lookAtTasks([process.pid], { ...bounds, most: 0 }), { tasks: [], more: true });
    assert.deepEqual(lookAtTasks([process.pid], { ...bounds, late: () => true }), { tasks: [], more: true });
    assert.deepEqual(lookAtDescriptors(process.pid, { ...bounds, most: 1 }).length, 2);
  });

  it('sees the first ones also when it is late already', () => {
    const late = { ...bounds, least: 2, late: () => true };
    assert.equal(lookAtTasks([process.pid], late).tasks.length, 2);
    assert.equal(lookAtDescriptors(process.pid, late).length, 3);
  });

  it('has what is open', () => {
    assert.match(lookAtDescriptors(process.pid, bounds).join('\n'), /^1 -> .+$/m);
  });

  it('finds nothing of what is gone', () => {
    const gone = 4_194_304;
    assert.deepEqual(lookAtTasks([gone], bounds), { tasks: [], more: false });
    assert.deepEqual(lookAtDescriptors(gone, bounds), []);
  });
});
