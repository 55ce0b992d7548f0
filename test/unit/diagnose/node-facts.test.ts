import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseNodeFacts } from '../../../src/diagnose/node-facts.ts';

const WHOLE = {
  temperature: 61.5,
  memory: { totalBytes: 1000, availableBytes: 400 },
  load: 0.5,
  cpus: 4,
  gpus: [{ bus: '01:00', model: 'A100', temperature: 70, uncorrectedErrors: 0, xid: null }],
};

describe('parseNodeFacts', () => {
  it('takes what a look writes', () => assert.deepEqual(parseNodeFacts(JSON.stringify(WHOLE)), WHOLE));

  it('takes for unknown what cannot be so', () => {
    const odd = {
      temperature: -127,
      memory: { totalBytes: 10, availableBytes: 11 },
      load: '3',
      cpus: null,
      gpus: [3, { bus: 7, model: 'x\u001b[31m'.padEnd(100, 'y'), temperature: 255, uncorrectedErrors: -1, xid: '79' }],
    };
    const [gpu] = parseNodeFacts(JSON.stringify(odd))?.gpus ?? [];
    assert.deepEqual(gpu, {
      bus: '0',
      model: 'x?[31m'.padEnd(64, 'y'),
      temperature: null,
      uncorrectedErrors: null,
      xid: null,
    });
    assert.deepEqual(parseNodeFacts(JSON.stringify({ ...odd, gpus: {} })), {
      temperature: null,
      memory: null,
      load: null,
      cpus: null,
      gpus: [],
    });
  });

  it('bounds the number of GPUs', () => {
    const gpus = Array.from({ length: 100 }, () => WHOLE.gpus[0]);
    assert.equal(parseNodeFacts(JSON.stringify({ gpus }))?.gpus.length, 16);
  });

  it('refuses what was cut off or is something else, and never throws', () => {
    const text = JSON.stringify(WHOLE);
    for (let length = 0; length < text.length; length++) assert.equal(parseNodeFacts(text.slice(0, length)), undefined);
    for (const other of ['', '[]', 'null', '3', '"x"']) assert.equal(parseNodeFacts(other), undefined);
    fc.assert(fc.property(fc.json(), (json) => void parseNodeFacts(json)));
  });
});
