import assert from 'node:assert/strict';
import { HostMounts } from '../../../src/sandbox/host-mounts.ts';

const UNUSED = '/run/bulkhead-unit-test/image/unused';
const NEEDED = '/run/bulkhead-unit-test/image/needed';

/** Mounts that an earlier supervisor left; `stopped` tells which units were stopped. */
function left(places: readonly string[]): { mounts: HostMounts; stopped: string[] } {
  const stopped: string[] = [];
  const mounts = new HostMounts({
    startTransient: () => assert.fail('nothing is to be mounted'),
    stopAndWait: async (unit) => {
      stopped.push(unit);
    },
    reset: async () => {},
    mountsBelow: async () => places,
  });
  return { mounts, stopped };
}

describe('mounts that sandboxes share', () => {
  it('of an earlier supervisor are let go unless a sandbox or a plan needs them', async () => {
    const { mounts, stopped } = left([UNUSED, NEEDED]);
    mounts.need('plugin-a-a-g1.service', [NEEDED]);
    await mounts.sweep('/run/bulkhead-unit-test');
    assert.deepEqual(stopped, ['run-bulkhead\\x2dunit\\x2dtest-image-unused.mount']);
  });

  it('are let go with the last who needs them, once', async () => {
    const { mounts, stopped } = left([]);
    mounts.need('plan a', [NEEDED]);
    mounts.need('plugin-a-a-g1.service', [NEEDED]);
    await mounts.drop('plugin-a-a-g1.service');
    assert.deepEqual(stopped, []);
    await mounts.drop('plan a');
    await mounts.drop('plan a');
    assert.deepEqual(stopped, ['run-bulkhead\\x2dunit\\x2dtest-image-needed.mount']);
  });

  it('of a plan that is not in force any more are let go when nothing else needs them', async () => {
    const { mounts, stopped } = left([]);
    mounts.need('plan a', [UNUSED, NEEDED]);
    mounts.need('plan a', [NEEDED]);
    assert.deepEqual(stopped, []);
    await mounts.letGo();
    assert.deepEqual(stopped, ['run-bulkhead\\x2dunit\\x2dtest-image-unused.mount']);
  });

  it('stay when somebody needs them again before their turn has come', async () => {
    const { mounts, stopped } = left([]);
    mounts.need('plan a', [NEEDED]);
    const dropped = mounts.drop('plan a');
    mounts.need('plan b', [NEEDED]);
    await dropped;
    assert.deepEqual(stopped, []);
  });
});
