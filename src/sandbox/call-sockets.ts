import { chownSync, closeSync, rmdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import { makeDirectory, namesIn, removeFile } from '../kernel/files.ts';
import { groupId, userId } from '../kernel/identities.ts';
import { listenUnix } from '../kernel/native.ts';
import { parseSandboxUnit } from '../plan/identity.ts';
import type { HostPaths, PlannedRpc } from '../plan/plan.ts';
import { rpcDirectory, rpcSocket } from '../plan/rpc.ts';

/** Connections that may wait until the program takes them; the kernel caps it at net.core.somaxconn. */
const BACKLOG = 4096;

/**
 * A sandbox's socket for calls, to be given away: nobody but the program keeps it, so that calls are refused as soon as
 * that is dead. One that an earlier supervisor had made, and did not come to give away, is of no use any more: this one
 * takes its place. Throws BH316.
 */
export async function openCallSocket({ path, user, group, mode }: PlannedRpc): Promise<number> {
  let fd: number | undefined;
  try {
    const [uid, gid] = await Promise.all([userId(user), groupId(group)]);
    makeDirectory(dirname(path), 0o755);
    removeFile(path);
    fd = listenUnix({ path, backlog: BACKLOG, mode });
    chownSync(path, uid, gid);
    return fd;
  } catch (error) {
    if (fd !== undefined) closeSync(fd);
    throw new Failure('BH316', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Nothing of the sandbox is left. */
export function removeCallSocket(unit: string, paths: HostPaths): void {
  const sandbox = parseSandboxUnit(unit);
  if (sandbox !== undefined) removeFile(rpcSocket(sandbox.plugin, sandbox.generation, paths));
}

/** Removes what an earlier supervisor left of sandboxes that are not recorded. */
export function sweepCallSockets(recorded: ReadonlySet<string>, paths: HostPaths): void {
  const kept = new Set(
    [...recorded].map((unit) => {
      const sandbox = parseSandboxUnit(unit);
      return sandbox === undefined ? '' : rpcSocket(sandbox.plugin, sandbox.generation, paths);
    }),
  );
  for (const plugin of namesIn(`${paths.run}/rpc`, '')) {
    const directory = rpcDirectory(plugin, paths);
    const left = namesIn(directory, '').map((name) => `${directory}/${name}`);
    for (const path of left) if (!kept.has(path)) removeFile(path);
  }
}

/** The plugin has no sandboxes any more. */
export function removeCallDirectory(plugin: string, paths: HostPaths): void {
  try {
    rmdirSync(rpcDirectory(plugin, paths));
  } catch (error) {
    // Of one that the kernel does not let go of there is still a socket in it.
    if (!['ENOENT', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
