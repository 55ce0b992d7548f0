import assert from 'node:assert/strict';
import { type BrokenCase, changedMount, itFinds, withFacts, withMount, wrong } from '../../support/audit-changes.ts';
import { healthySandbox } from '../../support/audit-facts.ts';

/** What is judged by another measure than with nspawn. */
const BROKEN: readonly BrokenCase[] = [
  [
    'a process of another unit that is the parent of init',
    'parents',
    'broken',
    /^init's parent 99 is in 'session-1\.scope'$/,
    () => withFacts(() => ({ initParentUnit: 'session-1.scope' }), 'scope'),
  ],
  [
    'a process outside of the scope',
    'cgroup',
    'broken',
    /^process 102 'worker': is in '\/system\.slice\/cron\.service'$/,
    () =>
      withFacts(
        ({ processes }) => ({
          processes: processes.map((each) =>
            each.pid === 102 ? { ...each, cgroup: '/system.slice/cron.service' } : each,
          ),
        }),
        'scope',
      ),
  ],
  [
    'a writable /dev',
    'mounts',
    'broken',
    /^\/dev \(tmpfs, writable\) is not planned$/,
    () => changedMount('/dev', { options: ['rw', 'nosuid'] }, 'scope'),
  ],
  [
    'a writable group',
    'mounts',
    'broken',
    /^\/sys\/fs\/cgroup \(cgroup2, writable\) is not planned$/,
    () => changedMount('/sys/fs/cgroup', { options: ['rw', 'nosuid'] }, 'scope'),
  ],
  [
    "others' cgroups",
    'mounts',
    'broken',
    /^\/sys\/fs\/cgroup shows the cgroup '\/plugin\.slice'$/,
    () => changedMount('/sys/fs/cgroup', { root: '/plugin.slice' }, 'scope'),
  ],
  [
    'a mount that only nspawn makes',
    'mounts',
    'broken',
    /^\/run\/host \(tmpfs, read-only\) is not planned$/,
    () => withMount({ target: '/run/host', options: ['ro'] }, 'scope'),
  ],
];

describe('judging a scope', () => {
  it('finds nothing wrong when all is as planned', () => {
    assert.deepEqual(wrong(healthySandbox('scope')), []);
  });

  it('takes PID 1 for the parent of init when the spawner has gone', () => {
    const { init } = healthySandbox('scope').facts;
    const adopted = withFacts(() => ({ init: { ...init, parent: 1 }, initParentUnit: 'init.scope' }), 'scope');
    assert.deepEqual(wrong(adopted), []);
  });

  itFinds(BROKEN);
});
