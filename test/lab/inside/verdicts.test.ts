import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { CGROUP_ROOT } from '../../../src/kernel/cgroup.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { pause } from '../../support/load.ts';
import { until } from '../../support/system.ts';
import { TERMS, VerdictStage } from './verdict-stage.ts';

describe('a program that', function () {
  this.timeout(120_000);
  let stage: VerdictStage;

  beforeEach(async () => {
    stage = await VerdictStage.open(`verdict-${process.pid}`);
    await stage.ask('/hello', 1000);
    // A main loop is missed only when it was seen to come round.
    await until('it was looked at', () => stage.vitals?.requests?.done === 1);
    await pause(4000);
  });

  afterEach(async () => {
    await stage.close();
    // A look that was kept waiting is told of as well, and is the host's doing.
    assert.deepEqual(
      stage.trouble.filter((text) => !/^looking at '.*' took \d+ ms/.test(text)),
      [],
    );
  });

  const stuck: readonly (readonly [act: string, verdict: string, call: string | undefined, withinMs: number])[] = [
    ['read-pipe', 'hang blocked', 'read', 0],
    ['deadlock', 'deadlock futex', 'futex', 0],
    ['vfork', 'hang vfork', 'vfork', 0],
    // What counts is its own time on a CPU, which other work on the host may share with it.
    ['spin', 'spin user', undefined, 6 * TERMS.spinMs],
    ['kernel-spin', 'spin kernel', undefined, 6 * TERMS.spinMs],
    ['stop', 'hang stopped', undefined, TERMS.stoppedMs],
    ['silent', 'unresponsive silent-loop', 'ppoll', 3000],
  ];
  for (const [act, expected, call, withinMs] of stuck) {
    it(`really does '${act}' is '${expected}'`, async () => {
      const began = systemClock.now();
      void stage.ask(`/do/${act}`, 1000);
      // The processor time that a spin needs may have to be shared.
      await until('it is told', () => stage.told.length > 0, 60_000);
      const [{ at, verdict } = { at: 0, verdict: undefined }] = stage.told;
      assert.equal(`${verdict?.class} ${verdict?.kind}`, expected, verdict?.text);
      // How soon is a matter of the host, too; test/unit/diagnose asks for it, with a clock of its own.
      const lateMs = at - began - 1000 - withinMs;
      const facts = new Map(verdict?.evidence.map(({ what, value }) => [what, value]));
      if (call !== undefined) assert.equal(facts.get('system call'), call);
      if (act === 'read-pipe') assert.equal(facts.get('on'), 'a pipe');
      if (act !== 'stop' && act !== 'silent') assert.deepEqual(verdict?.traceIds, ['ab'.repeat(16)]);
      assert.equal(verdict?.excuses.length, 11);
      console.log(`      ${Math.round(lateMs)} ms: ${verdict?.text}`);
      await pause(2500);
      // On a busy host what follows from it may be told of, too.
      const alike = stage.told.filter((each) => `${each.verdict.class} ${each.verdict.kind}` === expected);
      assert.equal(alike.length, 1, `it is told once: ${stage.told.map((each) => each.verdict.text).join('; ')}`);
    });
  }

  it('somebody froze is found by its cgroup', async () => {
    writeFileSync(`${CGROUP_ROOT}${stage.cgroup}/cgroup.freeze`, '1');
    // The processor time that a spin needs may have to be shared.
    await until('it is told', () => stage.told.length > 0, 60_000);
    assert.equal(stage.told[0]?.verdict.kind, 'frozen');
  });

  it('waits, gets on slowly, or was stopped for a while, is left alone', async () => {
    const slow = stage.ask('/do/slow?n=6', 1000);
    const idle = stage.ask('/do/read-pipe', 60_000);
    for (const pid of stage.processes) process.kill(pid, 'SIGSTOP');
    await pause(2000);
    for (const pid of stage.processes) process.kill(pid, 'SIGCONT');
    await slow;
    await pause(2000);
    assert.deepEqual(stage.told, []);
    void idle;
  });

  it('forgets one request of its loop is left alone, and found when it forgets three', async () => {
    stage.terms = { ...TERMS, requestTimeoutMs: 300 };
    await stage.ask('/do/lose?n=1', 1000);
    await pause(6000);
    assert.equal(stage.told.length, 0);
    await stage.ask('/do/lose?n=2', 1000);
    // The processor time that a spin needs may have to be shared.
    await until('it is told', () => stage.told.length > 0, 60_000);
    assert.equal(stage.told[0]?.verdict.kind, 'lost-request');
  });

  it('serves, has its vitals shown', async () => {
    await until('they are there', () => stage.vitals?.requests?.done === 1);
    const vitals = stage.vitals;
    assert.ok((vitals?.residentBytes ?? 0) > 100_000, JSON.stringify(vitals));
    assert.ok((vitals?.threads ?? 0) >= 6, JSON.stringify(vitals));
    assert.ok((vitals?.descriptors ?? 0) >= 4, JSON.stringify(vitals));
    assert.ok((vitals?.cpuPercent ?? 100) < 50, JSON.stringify(vitals));
  });
});
