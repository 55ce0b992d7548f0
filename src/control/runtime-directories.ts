import { makeDirectory } from '../kernel/files.ts';
import type { HostPaths } from '../plan/plan.ts';
import { makeSkeleton } from '../sandbox/skeleton.ts';

/** What the supervisor keeps below /run. */
export function makeRuntimeDirectories(paths: HostPaths): void {
  makeDirectory(paths.run, 0o755);
  for (const name of ['plugin', 'sandbox', 'seccomp', 'credentials', 'image', 'state', 'check'])
    makeDirectory(`${paths.run}/${name}`, 0o700);
  makeSkeleton(`${paths.run}/skeleton`);
}
