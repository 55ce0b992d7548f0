import assert from 'node:assert/strict';
import { planReport } from '../../../src/control/plan-report.ts';
import { PATHS, planText } from '../../support/plan-text.ts';

const COMPARISON = {
  differences: undefined,
  reload: null,
  nextGeneration: 17,
  quotaHolds: undefined,
  uidBase: 1 << 30,
};

describe('the sockets that a plan shows', () => {
  it('are those for calls and of discovery, with their access and the program’s descriptor', () => {
    const plan = planText('exec: [/usr/bin/x]\nlisten: [{ tcp: 127.0.0.1:81 }]\nrpc: { group: app }\n');
    const sockets = planReport(plan, PATHS, COMPARISON).sections.find(({ title }) => title === 'sockets');
    assert.deepEqual(sockets?.rows.map(({ key, value, origin }) => [key, value, origin]).slice(1), [
      [
        'rpc',
        '/run/bulkhead/rpc/x/17 root:app 0660, LISTEN_FDNAMES rpc, descriptor 4, each sandbox its own',
        'x.yaml:3:6',
      ],
      ['discovery', '/run/bulkhead/discovery/x root:app 0660, of the supervisor', 'x.yaml:3:6'],
    ]);
  });
});
