import assert from 'node:assert/strict';
import { FAILURE_CLASSES } from '../../../src/base/failure-class.ts';
import type { WhyReport } from '../../../src/control/incident-api.ts';
import { renderWhy } from '../../../src/control/render/why-view.ts';
import type { UpgradeOutcomeStatus } from '../../../src/control/upgrade-api.ts';
import { exampleIncident, INCIDENT_AT } from '../../support/incidents.ts';

const WELL: WhyReport = {
  name: 'hello',
  state: 'running',
  line: '2/2 ready, slot a, v1',
  reason: null,
  wellForMs: 185_000,
  quarantined: false,
  last: null,
  lately: [],
  upgrade: null,
  lastUpgrade: null,
};
const ROLLED_BACK: UpgradeOutcomeStatus = {
  id: 'hello-u3',
  kind: 'upgrade',
  from: 'v1',
  to: 'v2',
  by: 'uid 0',
  why: 'faster answers',
  outcome: 'rolled-back',
  reason: { code: 'BH326', text: 'errors: 12 %, the old side has 0.1 %' },
  rows: [
    { signal: 'errors', old: '0.1 %', new: '12 %', bound: '1.1 % at most', enough: true, bad: true },
    { signal: 'latency', old: '2 ms', new: '2 ms', bound: '3 ms at most', enough: true, bad: false },
  ],
  incident: null,
  at: INCIDENT_AT + 1000,
};

function why(fields: Partial<WhyReport>, columns = 80): string {
  return renderWhy({ ...WELL, ...fields }, { columns, colour: false });
}

describe('bulkheadctl why, of a change of version', () => {
  it('says which signal was bad, both values, what was done, and what to do', () => {
    const text = why({ lastUpgrade: ROLLED_BACK });
    assert.match(text, /^Last change of version: v1 -> v2 was rolled back, 2026-11-25 \d\d:\d\d:\d\d, hello-u3$/m);
    assert.match(text, /^ {2}upgrade asked for by uid 0: faster answers$/m);
    assert.match(text, /^ {2}BH326 .*: errors: 12 %, the old side has\n {2}0.1 %$/m);
    assert.match(text, /^ {2}errors +0.1 % +12 % +1.1 % at most$/m);
    assert.match(
      text,
      /^Done:\n {2}v1 serves, with all new connections; v2 was ended, and is not tried again by\n {2}itself\.$/m,
    );
    assert.match(text, /"bulkheadctl\n? *upgrade\n? *hello\n? *v2\n? *--force"/m);
  });

  it('shows the evidence of the incident that it was rolled back for', () => {
    const incident = exampleIncident(7);
    const { summary, advice } = FAILURE_CLASSES.hang;
    const story = { incident, steps: [], over: null, evidence: 'whole', missing: [], summary, advice } as const;
    const text = why({ last: story, lastUpgrade: { ...ROLLED_BACK, incident: incident.id, rows: [] } });
    assert.match(text, /^Evidence:\n {2}system call {2}read$/m);
    assert.match(text, new RegExp(`^ {2}bulkheadctl incidents show ${incident.id}$`, 'm'));
  });

  it('is silent about one that an incident came after', () => {
    const incident = exampleIncident(7);
    const { summary, advice } = FAILURE_CLASSES.hang;
    const story = { incident, steps: [], over: null, evidence: 'whole', missing: [], summary, advice } as const;
    const text = why({ last: story, lastUpgrade: { ...ROLLED_BACK, at: INCIDENT_AT - 1 } });
    assert.match(text, /^Last failure: hang/m);
    assert.doesNotMatch(text, /hello-u3/);
  });

  it('is silent about one that went well', () => {
    assert.match(why({ lastUpgrade: { ...ROLLED_BACK, outcome: 'promoted', reason: null } }), /Nothing has failed/);
  });

  it('fits one screen, however much there is to tell', () => {
    const incident = exampleIncident(7);
    const evidence = Array.from({ length: 32 }, (_, n) => ({ what: `fact ${n}`, value: 'v'.repeat(200) }));
    const { summary, advice } = FAILURE_CLASSES.hang;
    const last = {
      incident: { ...incident, verdict: { ...incident.verdict, evidence } },
      steps: [],
      over: null,
      evidence: 'whole',
      missing: [],
      summary,
      advice,
    } as const;
    const [row] = ROLLED_BACK.rows;
    assert.ok(row !== undefined);
    const lastUpgrade: UpgradeOutcomeStatus = {
      ...ROLLED_BACK,
      why: 'w'.repeat(200),
      incident: incident.id,
      rows: Array.from({ length: 10 }, (_, n) => ({ ...row, signal: `signal ${n}`, bound: 'b'.repeat(100) })),
      reason: { code: 'BH326', text: 'long words '.repeat(30) },
    };
    const lines = why({ last, lastUpgrade }).trimEnd().split('\n');
    assert.ok(lines.length < 25, `${lines.length} lines\n${lines.join('\n')}`);
    assert.match(lines.join('\n'), /What to do:/);
    assert.match(lines.join('\n'), /incidents show/);
  });
});
