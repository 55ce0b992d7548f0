import assert from 'node:assert/strict';
import { completeDeclaration } from '../../../src/declare/complete.ts';
import type { Declaration } from '../../../src/declare/declaration.ts';

describe('completeDeclaration', () => {
  const whole = completeDeclaration({ name: 'x' });

  it('gives what was written down before there were probes and chains their defaults', () => {
    const old = {
      name: 'x',
      pool: { size: 3 },
      health: { ready: 'notify', startTimeoutMs: 5 },
      recovery: { backoff: whole.recovery.backoff, budget: { restarts: 1, withinMs: 2 } },
    } as unknown as Declaration;
    const complete = completeDeclaration(JSON.parse(JSON.stringify(old)));
    assert.deepEqual(complete.pool, { size: 3, standby: 0 });
    assert.deepEqual(complete.health, { ...whole.health, ready: 'notify', startTimeoutMs: 5 });
    assert.deepEqual(complete.recovery, { ...whole.recovery, budget: { restarts: 1, withinMs: 2 } });
    assert.deepEqual(complete.schedule, []);
    assert.deepEqual(complete.upgrade, whole.upgrade);
    assert.deepEqual(complete.versions, { keep: 3 });
  });

  it('gives chains to classes that were not known', () => {
    const { oom, ...chains } = whole.recovery.chains;
    const old = {
      name: 'x',
      recovery: { ...whole.recovery, chains: { ...chains, exit: [] } },
    } as unknown as Declaration;
    assert.deepEqual(completeDeclaration(old).recovery.chains, { ...whole.recovery.chains, exit: [], oom });
  });

  it('leaves alone what is whole', () => {
    const health: Declaration['health'] = {
      ...whole.health,
      liveness: { kind: 'tcp', everyMs: 1, timeoutMs: 2, misses: 3, passes: 1 },
    };
    const judge = { ...whole.upgrade.judge, metrics: { port: 1, path: '/', latency: 'x' } };
    const declaration: Declaration = { ...whole, health, upgrade: { ...whole.upgrade, canary: [], judge } };
    const stored = JSON.stringify(declaration);
    assert.deepEqual(JSON.parse(JSON.stringify(completeDeclaration(JSON.parse(stored)))), JSON.parse(stored));
  });
});
