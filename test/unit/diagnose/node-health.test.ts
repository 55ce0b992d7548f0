import assert from 'node:assert/strict';
import { DEFAULT_CONFIGURATION, type NodeThresholds } from '../../../src/declare/configuration.ts';
import type { NodeFacts } from '../../../src/diagnose/node-facts.ts';
import {
  concerns,
  hardwareVerdict,
  judgeNode,
  type NodeHealth,
  troublesOf,
  UNKNOWN_HEALTH,
} from '../../../src/diagnose/node-health.ts';

const thresholds: NodeThresholds = { ...DEFAULT_CONFIGURATION.node, looks: 3, load: 8 };
const gpu = { bus: '01:00', model: 'A100', temperature: 60, uncorrectedErrors: 4, xid: null };
const well: NodeFacts = {
  temperature: 60,
  memory: { totalBytes: 1 << 30, availableBytes: 1 << 29 },
  load: 1,
  cpus: 2,
  gpus: [gpu],
};
const hot: NodeFacts = { ...well, temperature: 96 };

/** What each look of a row began (+) and ended (-). */
function looks(
  facts: readonly NodeFacts[],
  begin: NodeHealth = UNKNOWN_HEALTH,
): { news: string[]; health: NodeHealth } {
  let health = begin;
  const news = facts.map((seen) => {
    const judged = judgeNode(health, seen, thresholds);
    health = judged.health;
    return [...judged.began.map(({ kind }) => `+${kind}`), ...judged.ended.map(({ kind }) => `-${kind}`)].join(' ');
  });
  return { news, health };
}

describe('judgeNode', () => {
  it('takes three looks in a row to believe an illness, and three to believe that it is over', () => {
    const row = [hot, hot, well, hot, hot, hot, hot, well, hot, well, well, well, well];
    const { news, health } = looks(row);
    assert.deepEqual(news, ['', '', '', '', '', '+temperature', '', '', '', '', '', '-temperature', '']);
    assert.equal(health.watched.size, 0);
  });

  it('tells an illness in words with its evidence', () => {
    const { health } = looks([hot, hot, hot]);
    const [trouble] = troublesOf(health);
    assert.ok(trouble !== undefined);
    assert.deepEqual(hardwareVerdict(trouble, 3), {
      class: 'hardware',
      kind: 'temperature',
      confidence: 1,
      text: 'the processor has 96 °C, more than 95 °C',
      evidence: [
        { what: 'temperature', value: '96 °C' },
        { what: 'looks in a row', value: '3' },
      ],
      excuses: [],
      traceIds: [],
    });
  });

  it('knows all kinds, each apart', () => {
    const ill: NodeFacts = {
      ...hot,
      memory: { totalBytes: 1 << 30, availableBytes: 1 << 20 },
      load: 17,
      gpus: [{ ...gpu, temperature: 91, xid: 79 }],
    };
    const { news, health } = looks([ill, ill, ill]);
    assert.deepEqual(news.at(-1), '+temperature +memory +load +gpu-temperature +gpu-errors');
    assert.deepEqual(
      troublesOf(health).map(({ text }) => text),
      [
        'the processor has 96 °C, more than 95 °C',
        "99.9% of the node's memory are in use, more than 95%",
        'the load is 8.5 for each CPU, more than 8',
        'GPU 01:00 (A100) has 91 °C, more than 90 °C',
        'GPU 01:00 (A100) reports errors of its hardware',
      ],
    );
  });

  it('counts errors of a GPU from when it began to look', () => {
    const errors = (count: number): NodeFacts => ({ ...well, gpus: [{ ...gpu, uncorrectedErrors: count }] });
    assert.deepEqual(looks([errors(4), errors(4), errors(4), errors(4)]).news, ['', '', '', '']);
    assert.deepEqual(looks([errors(4), errors(5), errors(6), errors(9)]).news, ['', '', '', '+gpu-errors']);
  });

  it('says nothing of what it cannot see or need not judge', () => {
    const blind: NodeFacts = { temperature: null, memory: null, load: 1e6, cpus: null, gpus: [] };
    assert.deepEqual(looks([blind, blind, blind]).news, ['', '', '']);
    const { began } = judgeNode(UNKNOWN_HEALTH, hot, { ...thresholds, looks: 1, temperature: 'infinity' });
    assert.deepEqual(began, []);
  });
});

describe('concerns', () => {
  const trouble = { kind: 'temperature', gpu: undefined, text: '', evidence: [] } as const;
  const ofGpu = { ...trouble, kind: 'gpu-temperature', gpu: '01:00' } as const;

  it('is everybody, but for a GPU, which is those who have one', () => {
    assert.equal(concerns(trouble, []), true);
    for (const path of ['/dev/nvidia0', '/dev/nvidiactl', '/dev/dri/renderD128', '/dev/kfd'])
      assert.equal(concerns(ofGpu, ['/dev/fuse', path]), true, path);
    assert.equal(concerns(ofGpu, []), false);
    assert.equal(concerns(ofGpu, ['/dev/kvm']), false);
  });
});
