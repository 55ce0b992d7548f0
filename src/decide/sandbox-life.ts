import type { StateTable } from '../base/state-table.ts';

/**
 * Life of one sandbox.
 *
 *   starting  its unit was ordered; the payload does not serve yet
 *   ready     it serves
 *   stopping  somebody asked it to end: we, or systemd on someone's behalf
 *   dead      its payload ended; the unit still has to be cleared away
 *   gone      nothing is left of it; the entry is dropped
 */
export type SandboxLife = 'starting' | 'ready' | 'stopping' | 'dead' | 'gone';

/**
 * What can happen to it.
 *
 *   became-ready   systemd's start job is done, which means that init said READY
 *   start-failed   the start job failed, or the sandbox could not even be ordered
 *   exited         init reported the payload's end, or the cgroup ran empty
 *   stop-ordered   we ordered the stop
 *   stop-seen      init reported a stop that we did not order
 *   cleared        systemd has no such unit any more, or it is inactive with an empty cgroup
 */
export type SandboxEvent = 'became-ready' | 'start-failed' | 'exited' | 'stop-ordered' | 'stop-seen' | 'cleared';

export const SANDBOX_LIFE: StateTable<SandboxLife, SandboxEvent> = {
  starting: {
    'became-ready': 'ready',
    'start-failed': 'dead',
    exited: 'dead',
    'stop-ordered': 'stopping',
    'stop-seen': 'stopping',
    cleared: 'gone',
  },
  ready: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'dead',
    'stop-ordered': 'stopping',
    'stop-seen': 'stopping',
    cleared: 'gone',
  },
  stopping: {
    'became-ready': 'ignore',
    'start-failed': 'dead',
    exited: 'dead',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    cleared: 'gone',
  },
  dead: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'ignore',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    cleared: 'gone',
  },
  gone: {
    'became-ready': 'ignore',
    'start-failed': 'ignore',
    exited: 'ignore',
    'stop-ordered': 'ignore',
    'stop-seen': 'ignore',
    cleared: 'ignore',
  },
};
