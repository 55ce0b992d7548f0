import { chownSync, closeSync, constants, openSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Listen } from '../declare/declaration.ts';
import { makeDirectory } from '../kernel/files.ts';
import { groupId, userId } from '../kernel/identities.ts';
import { listenUnix } from '../kernel/native.ts';
import type { SlotName } from '../plan/plan.ts';
import type { Pair } from './pair.ts';
import { allNames, fileAt, isSocketOf, nameOf, publish, removeOurs, takeName } from './socket-files.ts';

/** Bytes of a socket's address (unix(7)). */
const LONGEST_ADDRESS = 107;

const SLOTS: readonly SlotName[] = ['a', 'b'];

type UnixListen = Extract<Listen, { kind: 'unix' }>;

/** Two sockets with names of their own, and the path that leads to one of them; `socket-files.ts`. */
export function unixPair(listen: UnixListen): Pair {
  const { path, user, group } = listen;
  return {
    async complete(there, made) {
      const [uid, gid] = await Promise.all([userId(user), groupId(group)]);
      makeDirectory(dirname(path), 0o755);
      if (there.a !== undefined) takeName(path, 'a');
      const known = SLOTS.filter((slot) => there[slot] !== undefined);
      for (const name of allNames(path)) if (!isSocketOf(name, path, known)) await clear(name);
      for (const slot of SLOTS) {
        if (known.includes(slot)) continue;
        const fd = listenOn(listen, nameOf(path, slot));
        chownSync(nameOf(path, slot), uid, gid);
        made(slot, fd);
      }
    },
    steer(_, percentOfB) {
      publish(path, percentOfB === 100 ? 'b' : 'a');
    },
    remove() {
      removeOurs(path);
    },
  };
}

/** Removes a socket file that nobody listens at: it is left over from a crash. Throws BH206 for anything else. */
async function clear(name: string): Promise<void> {
  const file = fileAt(name);
  if (file === undefined) return;
  if (!file.isSocket()) throw new Failure('BH206', `'${name}' exists and is not a socket`);
  if (await accepts(name)) throw new Failure('BH206', `'${name}': a program listens there`);
  unlinkSync(name);
}

/**
 * A socket of that name. Programs look at a socket's address to know it (sd_is_socket_unix(3)), so it is bound at the
 * declared path and renamed before it listens; where another one is at the path already, as when a version that knew of
 * one only made it, it has its own name for an address.
 */
function listenOn({ path, backlog, mode }: UnixListen, name: string): number {
  if (fileAt(path) === undefined) return listenUnix({ path, backlog, mode, name });
  if (Buffer.byteLength(name) <= LONGEST_ADDRESS) return listenUnix({ path: name, backlog, mode });
  const directory = openSync(dirname(name), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return listenUnix({ path: `/proc/self/fd/${directory}/${basename(name)}`, backlog, mode });
  } finally {
    closeSync(directory);
  }
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
