import assert from 'node:assert/strict';
import { planSandbox } from '../../../src/plan/plan-sandbox.ts';
import { accessText, discoverySocket, rpcSocket, socketNames } from '../../../src/plan/rpc.ts';
import { PATHS, planText } from '../../support/plan-text.ts';

const BASE = 'exec: [/usr/bin/x]\n';
const IDENTITY = { slot: 'a', uidBase: 1 << 30 } as const;

describe('the plan of calls', () => {
  it('has a socket for each sandbox, with the declared access', () => {
    const plan = planText(`${BASE}rpc: { group: www-data, mode: 0640 }\n`);
    const sockets = [7, 8].map((generation) => planSandbox(plan, { ...IDENTITY, generation }, PATHS).rpc);
    const access = { user: 'root', group: 'www-data', mode: 0o640 };
    assert.deepEqual(sockets, [
      { ...access, path: '/run/bulkhead/rpc/x/7' },
      { ...access, path: '/run/bulkhead/rpc/x/8' },
    ]);
    assert.equal(accessText(access), 'root:www-data 0640');
    assert.equal(discoverySocket('x', PATHS), '/run/bulkhead/discovery/x');
  });

  it('is not there where nothing is declared, and leaves the digest of others as it was', () => {
    const plan = planText(BASE);
    const sandbox = planSandbox(plan, { ...IDENTITY, generation: 7 }, PATHS);
    assert.ok(!('rpc' in sandbox));
    assert.ok(!('rpc' in plan.declaration));
    assert.notEqual(planText(`${BASE}rpc: {}\n`).digest, plan.digest);
  });

  it('has its socket behind the listeners that the program is handed, and before that of probes', () => {
    const { declaration, listeners } = planText(
      `${BASE}listen: [{ tcp: 127.0.0.1:80, to: 80 }, { tcp: 127.0.0.1:81, name: http }]\nrpc: {}\n` +
        'health: { liveness: { http: /well } }\n',
    );
    assert.deepEqual(socketNames(declaration, listeners), ['http', 'rpc', 'probe']);
  });

  it('has paths that fit into the address of a socket, whatever the plugin is called', () => {
    const longest = rpcSocket('x'.repeat(48), 999_999_999_999_999, PATHS);
    assert.ok(longest.length <= 107, `${longest.length}`);
  });
});
