import type { StateTable } from '../base/state-table.ts';

/**
 * Life of one sandbox.
 *
 *   starting  its unit was ordered; the payload does not serve yet
 *   ready     it serves
 *   stopping  somebody asked it to end: we, or systemd on someone's behalf
 *   dead      its payload ended; the unit still has to be cleared away
 *   frozen    nothing of it runs any more, so that it can be looked at; outside of the pool
 *   fenced    it was killed and does not go: the kernel holds a task of it. Nothing waits for it
 *   gone      nothing is left of it; the entry is dropped
 */
export type SandboxLife = 'starting' | 'ready' | 'stopping' | 'dead' | 'frozen' | 'fenced' | 'gone';

/**
 * What can happen to it.
 *
 *   became-ready   systemd's start job is done, which means that init said READY
 *   start-failed   the start job failed, or the sandbox could not even be ordered
 *   exited         init reported the payload's end, or the cgroup ran empty
 *   stop-ordered   we ordered the stop
 *   stop-seen      init reported a stop that we did not order
 *   frozen         we ordered that it be frozen
 *   unkillable     tasks of it are there some time after they were killed
 *   cleared        systemd has no such unit any more, or it is inactive with an empty cgroup
 */
export type SandboxEvent =
  | 'became-ready'
  | 'start-failed'
  | 'exited'
  | 'stop-ordered'
  | 'stop-seen'
  | 'frozen'
  | 'unkillable'
  | 'cleared';

export const SANDBOX_LIFE: StateTable<SandboxLife, SandboxEvent> = {
  starting: {
    'became-ready': 'ready',
    'start-failed': 'dead',
    exited: 'dead',
    'stop-ordered': 'stopping',
    'stop-seen': 'stopping',
    frozen: 'frozen',
    unkillable: 'fenced',
    cleared: 'gone',
  },
  ready: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'dead',
    'stop-ordered': 'stopping',
    'stop-seen': 'stopping',
    frozen: 'frozen',
    unkillable: 'fenced',
    cleared: 'gone',
  },
  stopping: {
    'became-ready': 'ignore',
    'start-failed': 'dead',
    exited: 'dead',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    frozen: 'ignore',
    unkillable: 'fenced',
    cleared: 'gone',
  },
  dead: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'ignore',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    frozen: 'ignore',
    unkillable: 'fenced',
    cleared: 'gone',
  },
  frozen: {
    'became-ready': 'ignore',
    'start-failed': 'dead',
    exited: 'dead',
    'stop-ordered': 'stopping',
    'stop-seen': 'stopping',
    frozen: 'ignore',
    unkillable: 'fenced',
    cleared: 'gone',
  },
  fenced: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'ignore',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    frozen: 'ignore',
    unkillable: 'ignore',
    cleared: 'gone',
  },
  gone: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'ignore',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    frozen: 'ignore',
    unkillable: 'ignore',
    cleared: 'ignore',
  },
};
