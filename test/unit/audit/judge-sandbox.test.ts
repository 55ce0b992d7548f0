import assert from 'node:assert/strict';
import type { ProcessFacts } from '../../../src/audit/facts.ts';
import { type Finding, WALLS, worst } from '../../../src/audit/finding.ts';
import { outdated } from '../../../src/audit/judge-sandbox.ts';
import {
  judge,
  withCredentials,
  withDescriptor,
  withFacts,
  withFile,
  withProcess,
  wrong,
} from '../../support/audit-changes.ts';
import { type Healthy, healthySandbox } from '../../support/audit-facts.ts';

describe('judging a sandbox', () => {
  it('finds nothing wrong when all is as planned, and says something about each wall', () => {
    const findings = judge(healthySandbox());
    assert.deepEqual(wrong(healthySandbox()), []);
    assert.deepEqual([...new Set(findings.map(({ wall }) => wall))], [...WALLS]);
    assert.equal(worst(findings), 'holds');
  });

  it('tells of a sandbox of an earlier declaration, which is not compared', () => {
    const { wall, verdict, wanted, seen } = outdated('d0', 'd1');
    assert.deepEqual([wall, verdict, wanted], ['plan', 'unknown', 'd1']);
    assert.match(seen, /^d0, an earlier declaration/);
  });

  it('lets a program give up what it was given', () => {
    assert.deepEqual(wrong(withProcess(101, () => ({ openFiles: [10, 20] }))), []);
    const healthy = withCredentials({ capabilities: Array(5).fill(1n << 10n) });
    const declared = (capabilities: readonly string[]): Healthy => ({
      ...healthy,
      plugin: { ...healthy.plugin, declaration: { ...healthy.plugin.declaration, capabilities } },
    });
    assert.deepEqual(wrong(declared(['CAP_NET_BIND_SERVICE'])), []);
    assert.deepEqual(
      wrong(declared(['CAP_NET_RAW'])).map(({ wall }) => wall),
      ['capabilities'],
    );
  });

  it('lets a program hold what a grant lets it make, and nothing of another grant', () => {
    for (const [grant, other, target] of [
      ['io_uring', 'perf', 'anon_inode:[io_uring]'],
      ['perf', 'ptrace', 'anon_inode:[perf_event]'],
    ] as const) {
      const healthy = withDescriptor(target);
      const granted = (allow: readonly string[]): Finding[] =>
        wrong({ ...healthy, plugin: { ...healthy.plugin, declaration: { ...healthy.plugin.declaration, allow } } });
      assert.deepEqual(granted([grant]), []);
      assert.deepEqual(
        granted([other]).map(({ wall }) => wall),
        ['descriptors'],
      );
    }
  });

  it('keeps a payload that may change its ids inside its range, and off its root', () => {
    const free = (uid: number): Finding[] => {
      const healthy = withCredentials({ uids: [uid, uid, uid, uid] });
      const { declaration } = healthy.plugin;
      return wrong({
        ...healthy,
        plugin: { ...healthy.plugin, declaration: { ...declaration, capabilities: ['CAP_SETUID'] } },
      });
    };
    assert.deepEqual(free(1_073_741_825), []);
    for (const uid of [0, 1_073_741_824, 1_073_741_824 + 65536])
      assert.deepEqual(
        free(uid).map(({ wall }) => wall),
        ['ids'],
      );
  });

  it('lets the thread of init that answers the gate look at files as the payload does, where there is a gate', () => {
    const root = 1_073_741_824;
    const looksAs = (gated: boolean, ...uids: number[]): Finding[] => {
      const healthy = withFacts(({ init }) => ({
        init: { ...init, credentials: init.credentials.flatMap((each) => [each, { ...each, uids }]) },
      }));
      return wrong({ ...healthy, plan: { ...healthy.plan, gated } });
    };
    assert.deepEqual(looksAs(true, root, root, root, root + 1000), []);
    const wrongs = [
      looksAs(false, root, root, root, root + 1000),
      looksAs(true, root, root, root, root + 1001),
      looksAs(true, root, root + 1000, root, root + 1000),
    ];
    for (const found of wrongs)
      assert.deepEqual(
        found.map(({ wall }) => wall),
        ['ids'],
      );
  });

  it('knows the idle tunnels that a kernel makes by itself', () => {
    assert.deepEqual(
      wrong(
        withFacts(() => ({
          interfaces: [
            { name: 'lo', idle: true },
            { name: 'sit0', idle: true },
          ],
        })),
      ),
      [],
    );
  });

  it('says nothing to enforce where nothing is asked for', () => {
    assert.deepEqual(wrong(withFile('cpu.weight', null)), []);
  });

  it('lists a bounded number of deviations, of bounded length', () => {
    const many = withFacts(({ processes }) => ({
      processes: Array.from({ length: 3000 }, (_, index) => ({
        ...(processes[1] as ProcessFacts),
        pid: 200 + index,
        name: 'x'.repeat(5000),
        oomScoreAdj: 0,
      })),
    }));
    const findings = wrong(many).filter(({ wall }) => wall === 'oom-score');
    assert.equal(findings.length, 21);
    assert.equal(findings.at(-1)?.seen, 'and 2980 more');
    assert.ok(findings.every(({ seen }) => seen.length <= 1001));
  });
});
