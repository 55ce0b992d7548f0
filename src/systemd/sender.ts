/**
 * What the door needs of the kernel and Node lacks; src/kernel/native.ts has it. systemd/ comes before kernel/,
 * so it is passed in.
 */

/**
 * Sends one datagram with descriptors to a Unix socket: `/path`, or `@name` for an abstract one. Must not block.
 * @throws Error (Failure BH601) when the system call fails.
 */
export type SendDatagram = (path: string, bytes: Uint8Array, fds: readonly number[]) => void;

/** Makes a pipe whose ends are close-on-exec. */
export type MakePipe = () => { readonly read: number; readonly write: number };

/** Sets or clears FD_CLOEXEC. */
export type SetCloexec = (fd: number, on: boolean) => void;
