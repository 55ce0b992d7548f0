import assert from 'node:assert/strict';
import { finding, type Verdict } from '../../../src/audit/finding.ts';
import type { AuditReport } from '../../../src/control/api.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { FakeManager, status } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

function report(verdict: Verdict | null): AuditReport {
  const findings = [
    finding('ids', 'holds', 'uid 1000', 'init and of the payload: 1'),
    ...(verdict === null ? [] : [finding('mounts', verdict, 'planned ones', '/h\u001bome is not planned')]),
  ];
  return {
    plugin: 'hello',
    state: verdict === null ? 'stopped' : 'running',
    digest: verdict === null ? null : 'd1',
    verdict,
    slice: [],
    sandboxes:
      verdict === null
        ? []
        : [{ unit: 'plugin-hello-a-g1.service', initPid: 10, payloadPid: 11, processes: 2, findings }],
    notCompared: [{ unit: 'plugin-hello-a-g2.service', why: 'it starts' }],
  };
}

async function audit(line: string, verdict: Verdict | null): Promise<{ exit: number; out: string; err: string }> {
  const manager = new FakeManager();
  manager.statuses = [status('hello')];
  manager.audited = report(verdict);
  const world = new FakeWorld(manager);
  const exit = await runCommandLine(line.split(' '), VERBS, world);
  return { exit, out: world.out.text, err: world.err.text };
}

describe('bulkheadctl audit', () => {
  it('has an exit status for scripts', async () => {
    for (const [verdict, plain, strict] of [
      ['holds', 0, 0],
      ['not-enforced', 0, 1],
      ['unknown', 1, 1],
      ['broken', 1, 1],
      [null, 3, 3],
    ] as const) {
      assert.equal((await audit('audit hello', verdict)).exit, plain, `${verdict}`);
      assert.equal((await audit('audit hello --strict', verdict)).exit, strict, `${verdict} --strict`);
      assert.equal((await audit('audit hello --json', verdict)).exit, plain, `${verdict} --json`);
    }
    assert.equal((await audit('audit nobody', 'holds')).exit, 4);
    assert.equal((await audit('audit', 'holds')).exit, 2);
  });

  it('shows what was wanted where a wall does not hold, and with --all everywhere', async () => {
    const { out } = await audit('audit hello', 'broken');
    assert.match(out, /^plugin-hello-a-g1\.service, processes: 2$/m);
    assert.match(out, /^ {2}ids +holds +init and of the payload: 1$/m);
    assert.match(out, /^ {2}mounts +broken +\/h\S+ome is not planned \(wanted: planned ones\)$/m);
    assert.match(out, /^not compared: plugin-hello-a-g2\.service: it starts$/m);
    assert.match(out, /^holds 1, broken 1, unknown 0, not enforced 0$/m);
    assert.match((await audit('audit hello --all', 'broken')).out, /^ {2}ids +holds .* \(wanted: uid 1000\)$/m);
  });

  it('escapes what a payload chose', async () => {
    assert.ok(!(await audit('audit hello', 'broken')).out.includes('\u001b'));
  });

  it('says that nothing runs', async () => {
    assert.match((await audit('audit hello', null)).out, /^hello: stopped, no sandbox to compare$/m);
  });

  it('gives the report as it is in JSON', async () => {
    assert.deepEqual(JSON.parse((await audit('audit hello --json', 'broken')).out), report('broken'));
  });
});
