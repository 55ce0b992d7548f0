import assert from 'node:assert/strict';
import { completeDeclaration } from '../../../src/declare/complete.ts';
import { canarySteps, DEFAULT_UPGRADE, surgeOf } from '../../../src/declare/upgrade.ts';

describe('settings of an upgrade', () => {
  it('have the defaults of the schema', () => {
    assert.deepEqual(completeDeclaration({ name: 'x' }).upgrade, DEFAULT_UPGRADE);
  });

  it('end with all connections, once', () => {
    assert.deepEqual(canarySteps({ canary: [] }), [100]);
    assert.deepEqual(canarySteps({ canary: [5, 25] }), [5, 25, 100]);
    assert.deepEqual(canarySteps({ canary: [5, 100] }), [5, 100]);
  });

  it('let one more sandbox be, and no more than the pool has', () => {
    assert.equal(surgeOf({ percent: 100 }, 3), 3);
    assert.equal(surgeOf({ percent: 50 }, 3), 1);
    assert.equal(surgeOf({ percent: 1 }, 3), 1);
    assert.equal(surgeOf({ count: 2 }, 3), 2);
    assert.equal(surgeOf({ count: 64 }, 3), 3);
  });
});
