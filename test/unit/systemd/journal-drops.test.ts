import assert from 'node:assert/strict';
import { parseDropped } from '../../../src/systemd/journal-drops.ts';

describe("journald's word about dropped messages", () => {
  it('names unit and number', () => {
    const line = JSON.stringify({ MESSAGE: 'Suppressed 1234 messages from plugin-x-a-g1.service', __CURSOR: 's=1' });
    assert.deepEqual(parseDropped(line), { unit: 'plugin-x-a-g1.service', count: 1234 });
  });

  it('is nothing else', () => {
    const others = [
      '',
      'text',
      'null',
      '{}',
      '[]',
      JSON.stringify({ MESSAGE: 'Suppressed many messages from x' }),
      JSON.stringify({ MESSAGE: ['Suppressed 1 messages from x', 1] }),
      JSON.stringify({ MESSAGE: 'I say: Suppressed 1 messages from x' }),
      JSON.stringify({ MESSAGE: `Suppressed 1 messages from ${'x'.repeat(20_000)}` }),
    ];
    for (const line of others) assert.equal(parseDropped(line), undefined, line.slice(0, 80));
  });
});
