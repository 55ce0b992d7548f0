import assert from 'node:assert/strict';
import type { NodeReport } from '../../../src/control/api.ts';
import { renderNode } from '../../../src/control/render/node-view.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { DEFAULT_CONFIGURATION } from '../../../src/declare/configuration.ts';
import { FakeManager } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

const OPTIONS = { columns: Number.POSITIVE_INFINITY, colour: false };

const report: NodeReport = {
  at: 100_000,
  facts: {
    temperature: 97,
    memory: { totalBytes: 2 ** 34, availableBytes: 2 ** 33 },
    load: 3.1456,
    cpus: 8,
    gpus: [{ bus: '01:00', model: 'A100', temperature: null, uncorrectedErrors: 2, xid: 79 }],
  },
  thresholds: DEFAULT_CONFIGURATION.node,
  troubles: [
    { kind: 'temperature', gpu: null, text: 'hot' },
    { kind: 'gpu-errors', gpu: '01:00', text: 'broken' },
  ],
  failure: null,
};

describe('bulkheadctl node', () => {
  it('shows what was seen beside what is allowed', () => {
    assert.equal(
      renderNode(report, 112_000, OPTIONS),
      [
        'Looked at 12s ago, every 1min.',
        '',
        'WHAT              SEEN                     LIMIT     STATE',
        'temperature       97 °C                    95 °C     ILL',
        'memory            50% of 16G               95%       ok',
        'load              3.15 on 8 CPUs           infinity  ok',
        'GPU 01:00 A100    not known                90 °C     -',
        'GPU 01:00 errors  2 not corrected, Xid 79  new ones  ILL',
        '',
      ].join('\n'),
    );
  });

  it('says so while nothing was seen, and why', () => {
    const blind: NodeReport = {
      ...report,
      at: null,
      facts: null,
      troubles: [],
      failure: { code: 'BH506', text: 'it hangs' },
    };
    assert.equal(renderNode(blind, 0, OPTIONS), 'Not looked at yet.\nThe last look failed: BH506 it hangs\n');
  });

  it('ends with 1 while something is ill, and prints JSON', async () => {
    const world = new FakeWorld();
    const manager = new FakeManager();
    world.supervisor = manager;
    manager.nodeSeen = report;
    assert.equal(await runCommandLine(['node', '--json'], VERBS, world), 1);
    assert.deepEqual(JSON.parse(world.out.text), report);
    manager.nodeSeen = { ...report, troubles: [] };
    assert.equal(await runCommandLine(['node'], VERBS, world), 0);
  });
});
