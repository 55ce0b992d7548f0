import assert from 'node:assert/strict';
import { MOST_INCIDENTS, outlived } from '../../../src/record/retention.ts';
import { type IncidentSummary, summaryOf } from '../../../src/record/stored-incident.ts';
import { exampleIncident } from '../../support/incidents.ts';

describe('retention of incidents', () => {
  const summary = (at: number, bytes: number, also: Partial<IncidentSummary> = {}): IncidentSummary => ({
    ...summaryOf(
      { format: 1, incident: exampleIncident(at), steps: [], over: null, evidence: 'whole', missing: [], core: null },
      bytes,
    ),
    id: `at-${at}`,
    at,
    ...also,
  });
  const FOREVER = { keepMs: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER };

  it('removes what is older than it is to be kept', () => {
    const all = [summary(100, 1), summary(200, 1), summary(300, 1)];
    assert.deepEqual(outlived(all, { ...FOREVER, keepMs: 100 }, 300), ['at-100']);
  });

  it('removes the oldest of what is too large together', () => {
    const all = [summary(100, 40), summary(300, 40), summary(200, 40)];
    assert.deepEqual(outlived(all, { ...FOREVER, bytes: 80 }, 300), ['at-100']);
    assert.deepEqual(outlived(all, { ...FOREVER, bytes: 79 }, 300), ['at-100', 'at-200']);
  });

  it('bounds their number, too', () => {
    const all = Array.from({ length: MOST_INCIDENTS + 2 }, (_, index) => summary(index, 0));
    assert.deepEqual(outlived(all, FOREVER, 0), ['at-0', 'at-1']);
  });

  it('leaves one alone whose evidence is being gathered', () => {
    const all = [summary(100, 1, { evidence: 'gathering' }), summary(200, 1)];
    assert.deepEqual(outlived(all, { ...FOREVER, keepMs: 0 }, 300), ['at-200']);
  });
});
