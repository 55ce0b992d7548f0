import type { Socket } from 'node:net';

/** The descriptor of a connected socket. Node has it, but only in a property that its types do not name. */
export function descriptorOf(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } | null };
  if (handle === null || handle.fd < 0) throw new Error('the socket is closed');
  return handle.fd;
}
