import { closeSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { unitOfProcess } from '../kernel/cgroup.ts';
import { removeFile } from '../kernel/files.ts';
import { listenUnix, peerCredentials, sendWithFds } from '../kernel/native.ts';
import { LineSplitter } from './line-splitter.ts';

/** What a launcher gets for its unit. The descriptors are copies for it: the server closes them after sending. */
export type Descriptors = (unit: string) => Promise<{ readonly fds: readonly number[] }>;

/** A launcher that says nothing for so long (ms) is cut off. */
const SILENCE_MS = 10_000;
/** A unit name has at most 255 characters (systemd.unit(5)). */
const LONGEST_LINE = 300;
const BACKLOG = 128;

/**
 * Hands each sandbox's launcher its descriptors: see "Launcher" in docs/internals.md. Serves root only, and a unit
 * only to a process inside that unit.
 */
export function serveLaunchers(path: string, descriptors: Descriptors, refused: (why: Failure) => void): Owned {
  removeFile(path);
  const fd = listenUnix({ path, backlog: BACKLOG, mode: 0o600 });
  const connections = new Set<Socket>();
  const server: Server = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    const lines = new LineSplitter(LONGEST_LINE);
    socket.on('data', (chunk: Buffer) => {
      const complete = lines.push(chunk);
      if (complete === undefined) socket.destroy();
      else if (complete[0] !== undefined) void answer(socket, complete[0]);
    });
  });
  server.on('error', (error) => refused(asFailure(error)));
  server.listen({ fd });

  async function answer(socket: Socket, line: string): Promise<void> {
    socket.pause();
    try {
      const unit = checkedUnit(socket, line);
      const { fds } = await descriptors(unit);
      try {
        sendWithFds(rawDescriptor(socket), Buffer.from(`fds ${fds.length}\n`), fds);
      } finally {
        for (const given of fds) closeSync(given);
      }
      socket.end();
    } catch (error) {
      const failure = asFailure(error);
      refused(failure);
      socket.end(`refused ${failure.code} ${failure.message.replaceAll('\n', ' ').slice(0, 1000)}\n`);
    }
  }

  return {
    release() {
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

/** The unit that the line asks for, if the peer may have it. */
function checkedUnit(socket: Socket, line: string): string {
  const match = /^launch 1 (\S{1,255})$/.exec(line);
  const unit = match?.[1];
  if (unit === undefined) throw new Failure('BH405', 'expected "launch 1 UNIT"');
  const peer = peerCredentials(rawDescriptor(socket));
  const actual = unitOfProcess(peer.pid);
  if (peer.uid !== 0) throw new Failure('BH403', `uid ${peer.uid} may not launch sandboxes`);
  if (actual !== unit)
    throw new Failure('BH403', `process ${peer.pid} is in '${actual ?? 'no unit'}', not in '${unit}'`);
  return unit;
}

/**
 * The connection's descriptor, which Node has no public name for. Checked, so that a Node that renames it gives an
 * error instead of a message on a stranger's descriptor.
 */
export function rawDescriptor(socket: Socket): number {
  const { fd } = (socket as unknown as { _handle?: { fd?: unknown } })._handle ?? {};
  if (typeof fd !== 'number' || fd < 3) throw new Failure('BH601', 'the connection has no descriptor');
  return fd;
}
