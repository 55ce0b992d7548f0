import { chownSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Listen } from '../declare/declaration.ts';
import { makeDirectory, removeFile } from '../kernel/files.ts';
import { groupId, userId } from '../kernel/identities.ts';
import { listenTcp, listenUnix, SystemCallFailure } from '../kernel/native.ts';

/** Makes a listening socket as declared. Throws BH206 when the address is taken, BH207 when it cannot be bound. */
export async function makeSocket(listen: Listen): Promise<number> {
  try {
    // All members of a group must have SO_REUSEPORT (socket(7)): a second one joins.
    if (listen.kind === 'tcp') return listenTcp({ ...listen, reusePort: true });
    return await makeUnix(listen);
  } catch (error) {
    if (!(error instanceof SystemCallFailure)) throw error;
    const code = error.errnoName === 'EADDRINUSE' ? 'BH206' : 'BH207';
    throw new Failure(code, error.message, { cause: error });
  }
}

async function makeUnix(listen: Extract<Listen, { kind: 'unix' }>): Promise<number> {
  const { path, user, group, backlog, mode } = listen;
  const [uid, gid] = await Promise.all([userId(user), groupId(group)]);
  makeDirectory(dirname(path), 0o755);
  const before = statSync(path, { throwIfNoEntry: false });
  if (before !== undefined && !before.isSocket()) throw new Failure('BH206', `'${path}' exists and is not a socket`);
  if (before !== undefined && (await accepts(path))) throw new Failure('BH206', `'${path}': a program listens there`);
  // A socket file that nobody listens at is left over from a crash.
  removeFile(path);
  const fd = listenUnix({ path, backlog, mode });
  chownSync(path, uid, gid);
  return fd;
}

/** Whether somebody listens at the path. */
function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
