import { watch } from 'node:fs';
import type { Clock, Owned } from '../base/clock.ts';
import { fieldOf } from '../diagnose/task-text.ts';
import { CGROUP_ROOT } from './cgroup.ts';
import { KeptFile } from './kept-file.ts';

/** One that is slowed down changes the file a hundred times a second: it is read so often at most (ms). */
const READ_EVERY_MS = 50;

/**
 * Calls each time when the kernel has killed a process of the cgroup, or of one below, for want of memory: inotify tells
 * of memory.events within milliseconds. A host without the memory controller has no such file, and nothing is told.
 * @param ended the watch has ended, though the cgroup is there
 */
export function watchForKills(cgroup: string, clock: Clock, killed: () => void, ended: (why: unknown) => void): Owned {
  const path = `${CGROUP_ROOT}${cgroup}/memory.events`;
  const file = new KeptFile(path);
  let kills = count(file.text());
  let pause: Owned | undefined;
  const look = (): void => {
    if (pause !== undefined) return;
    pause = clock.after(READ_EVERY_MS, () => {
      pause = undefined;
      compare();
    });
    compare();
  };
  const compare = (): void => {
    const now = count(file.text());
    if (now === undefined) return;
    const more = now > (kills ?? 0);
    kills = now;
    if (more) killed();
  };
  const release = (): void => {
    watcher?.close();
    pause?.release();
    file.release();
  };
  let watcher: ReturnType<typeof watch> | undefined;
  if (kills === undefined) return { release };
  try {
    watcher = watch(path, { persistent: false }, look);
    watcher.on('error', ended);
  } catch (error) {
    ended(error);
  }
  return { release };
}

function count(text: string | undefined): number | undefined {
  return text === undefined ? undefined : (fieldOf(text, 'oom_kill') ?? 0);
}
