import assert from 'node:assert/strict';
import fc from 'fast-check';
import { incidentId } from '../../../src/diagnose/incident.ts';

describe('incidentId', () => {
  it('tells time, plugin and number', () => {
    assert.equal(incidentId('hello', 17, Date.UTC(2026, 10, 25, 21, 34, 0, 999)), '20261125T213400-hello-17');
  });

  it('agrees with the calendar of the machine', () => {
    const whole = { min: 0, max: Date.UTC(2400, 0, 1) };
    fc.assert(
      fc.property(fc.integer(whole), (at) => {
        const expected = new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '');
        assert.equal(incidentId('x', 1, at), `${expected}-x-1`);
      }),
    );
    assert.equal(incidentId('x', 1, Date.UTC(2028, 1, 29)), '20280229T000000-x-1');
  });
});
