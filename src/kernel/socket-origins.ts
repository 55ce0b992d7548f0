import { fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { ProcessFacts, SocketOrigin } from '../audit/facts.ts';
import { parseSockets, SOCKET_TABLES } from '../audit/proc-text.ts';

/** A host's table of 200 000 connections has this size; what lies beyond is not found. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Tables of connections that a listener may have made, in the namespace where it is. */
const ACCEPTING = ['tcp', 'tcp6', 'unix'];

/**
 * Where the sockets of these processes belong, by inode.
 * @param listeners descriptors of the plugin's listeners
 * @param rpcPath of the sandbox's own socket for calls, which nobody else has a descriptor of
 */
export async function socketOrigins(
  processes: readonly ProcessFacts[],
  init: ProcessFacts,
  journal: ReadonlySet<string>,
  listeners: readonly number[],
  rpcPath: string | undefined,
): Promise<Map<string, SocketOrigin>> {
  const origins = new Map<string, SocketOrigin>();
  for (const { descriptors } of processes) {
    for (const { target } of descriptors) if (target.startsWith('socket:')) origins.set(inodeOf(target), 'nowhere');
  }
  const own = new Set(listeners.map((fd) => String(fstatSync(fd, { bigint: true }).ino)));
  for (const inode of origins.keys()) {
    if (own.has(inode)) origins.set(inode, 'listener');
    if (journal.has(inode)) origins.set(inode, 'journal');
  }
  const left = (): boolean => [...origins.values()].includes('nowhere');
  for (const table of SOCKET_TABLES) {
    if (!left()) break;
    for (const { inode } of parseSockets(table, await tableOf(init.pid, table)))
      if (origins.get(inode) === 'nowhere') origins.set(inode, 'inside');
  }
  for (const table of SOCKET_TABLES) {
    if (!left()) break;
    const rows = parseSockets(table, await tableOf(1, table));
    const addresses = rows.filter(({ inode }) => own.has(inode)).map(({ local }) => local);
    if (table === 'unix' && rpcPath !== undefined) addresses.push(rpcPath);
    for (const { inode, local } of rows) {
      if (origins.get(inode) !== 'nowhere') continue;
      const accepted = ACCEPTING.includes(table) && addresses.some((address) => isAt(table, local, address));
      origins.set(inode, accepted ? 'accepted' : 'host');
    }
  }
  return origins;
}

export function inodeOf(target: string): string {
  return target.replace(/\D/g, '');
}

/** A connection has the listener's port, and its address unless that is the wildcard. */
function isAt(table: string, local: string, listener: string): boolean {
  if (table === 'unix') return listener !== '' && local === listener;
  const [host = '', port] = listener.split(':');
  const [ownHost, ownPort] = local.split(':');
  return port === ownPort && (/^0+$/.test(host) || host === ownHost);
}

/** Empty for a table that the kernel does not have, or of a process that is gone. */
async function tableOf(pid: number, table: string): Promise<string> {
  try {
    const file = await open(`/proc/${pid}/net/${table}`);
    try {
      const parts: Buffer[] = [];
      let bytes = 0;
      for await (const part of file.createReadStream({ autoClose: false, highWaterMark: 1 << 20 })) {
        parts.push(part as Buffer);
        bytes += (part as Buffer).length;
        if (bytes >= MOST_BYTES) break;
      }
      return Buffer.concat(parts).toString('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EINVAL') return '';
    throw error;
  }
}
