import { watch } from 'node:fs';
import type { Owned } from '../base/clock.ts';
import { CGROUP_ROOT, isPopulated } from './cgroup.ts';

/**
 * Calls once when no process is left in the cgroup, or the cgroup itself is gone. The kernel changes cgroup.events
 * and inotify tells (cgroup-v2.rst, "populated"); the state is read again after the watch is set, so that an end in
 * between is not missed.
 */
export function watchForEmpty(cgroup: string, empty: () => void): Owned {
  let done = false;
  const finish = (): void => {
    if (done) return;
    done = true;
    watcher?.close();
    empty();
  };
  const look = (): void => {
    if (!done && !isPopulated(cgroup)) finish();
  };
  let watcher: ReturnType<typeof watch> | undefined;
  try {
    watcher = watch(`${CGROUP_ROOT}${cgroup}/cgroup.events`, { persistent: false }, look);
    watcher.on('error', look);
  } catch {
    // The group is gone before it could be watched: that is what was waited for.
    queueMicrotask(finish);
    return {
      release: () => {
        done = true;
      },
    };
  }
  queueMicrotask(look);
  return {
    release() {
      done = true;
      watcher?.close();
    },
  };
}
