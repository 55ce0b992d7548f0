import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import type { Owned } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { owned } from '../base/owner.ts';

/**
 * One change of a plugin's versions at a time; the kernel takes the lock back from a process that ends.
 * @throws Failure BH424 when somebody else has it.
 */
export function lockVersions(plugin: string, path: string): Owned {
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  // flock(2) is a matter of the open file, which this process and flock(1) share.
  const { status } = spawnSync('flock', ['--nonblock', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  if (status === 0) return owned(() => closeSync(fd));
  closeSync(fd);
  throw new Failure('BH424', `another change of the versions of '${plugin}' is under way`);
}
