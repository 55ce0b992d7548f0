import assert from 'node:assert/strict';
import type { LimitInForce } from '../../../../src/audit/limits-in-force.ts';
import type { PluginStatus } from '../../../../src/control/api.ts';
import { limitLines } from '../../../../src/control/render/limit-lines.ts';

function limit(name: string, declared: number | 'infinity', changes: Partial<LimitInForce> = {}): LimitInForce {
  return { limit: name, declared, asked: declared, inForce: declared, from: 'declaration', ...changes };
}

function lines(slice: readonly LimitInForce[], sandbox: readonly LimitInForce[]): string[] {
  return limitLines({ limits: slice, sandboxes: [{ unit: 'x-g1', limits: sandbox }] } as unknown as PluginStatus);
}

describe('limits in the status', () => {
  it('are one line for all and one for each, when they are as declared', () => {
    assert.deepEqual(
      lines(
        [limit('memory', 1 << 27), limit('cpu', 500_000), limit('cpu-weight', 7)],
        [limit('memory', 1 << 26), limit('swap', 0), limit('cpu', 'infinity'), limit('io /srv read-iops', 5)],
      ),
      ['in all memory 128M, cpu 50%', 'each memory 64M, swap 0, io /srv read-iops 5'],
    );
    assert.deepEqual(lines([], [limit('cpu', 'infinity')]), ['in all no limits', 'each no limits']);
  });

  it('that are not simply as declared have a line with who asked, and what holds', () => {
    const odd = [
      limit('tasks', 50, { asked: 99, inForce: 99, from: 'x-g1' }),
      limit('memory', 1 << 26, { inForce: 1 << 27 }),
      limit('io /srv read', 1 << 20, { asked: null, inForce: null }),
    ];
    assert.deepEqual(lines([limit('tasks', 9, { asked: 8, inForce: 8, from: 'plugin@x.service' })], odd).slice(2), [
      'in all: tasks declared 9, asked 8 by plugin@x.service, in force 8',
      'x-g1: tasks declared 50, asked 99 by x-g1, in force 99',
      'x-g1: memory declared 64M, asked 64M, in force 128M',
      'x-g1: io /srv read declared 1M, asked nothing, not enforced',
      'NOT ENFORCED on this host: io /srv read',
    ]);
  });

  it('that the host does not enforce are named; a weight that all have is none', () => {
    const nothing = { inForce: null };
    assert.deepEqual(
      lines([], [limit('tasks', 9, nothing), limit('cpu-weight', 100, nothing), limit('io-weight', 5, nothing)]).slice(
        2,
      ),
      ['NOT ENFORCED on this host: tasks, io-weight'],
    );
  });

  it('are not told while nothing runs', () => {
    assert.deepEqual(lines([], []), []);
  });
});
