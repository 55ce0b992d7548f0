import type { CallKind, TaskCall } from './look.ts';

/** Where a server waits for work, or for time to pass; what else it waits in is for somebody. */
const IDLE = [
  'epoll_wait',
  'epoll_pwait',
  'epoll_pwait2',
  'poll',
  'ppoll',
  'select',
  'pselect6',
  'accept',
  'accept4',
  'pause',
  'rt_sigsuspend',
  'rt_sigtimedwait',
  'nanosleep',
  'clock_nanosleep',
  'io_uring_enter',
  // What a sleep becomes after a signal, or after its thread was stopped.
  'restart_syscall',
];

/** Calls whose first argument is a descriptor, which tells what is waited for. */
const ON_DESCRIPTOR = [
  'read',
  'write',
  'readv',
  'writev',
  'pread64',
  'pwrite64',
  'recvfrom',
  'sendto',
  'recvmsg',
  'sendmsg',
  'connect',
  'fsync',
  'fdatasync',
  'flock',
  'fcntl',
  'ioctl',
  'getdents64',
  'fallocate',
  'ftruncate',
];

/** Numbers of the calls that can wait (asm/unistd.h), by machine as Node names it. */
const NUMBERS: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  x64: {
    0: 'read',
    1: 'write',
    2: 'open',
    7: 'poll',
    16: 'ioctl',
    17: 'pread64',
    18: 'pwrite64',
    19: 'readv',
    20: 'writev',
    23: 'select',
    34: 'pause',
    35: 'nanosleep',
    42: 'connect',
    43: 'accept',
    44: 'sendto',
    45: 'recvfrom',
    46: 'sendmsg',
    47: 'recvmsg',
    56: 'clone',
    58: 'vfork',
    61: 'wait4',
    72: 'fcntl',
    73: 'flock',
    74: 'fsync',
    75: 'fdatasync',
    77: 'ftruncate',
    82: 'rename',
    83: 'mkdir',
    87: 'unlink',
    128: 'rt_sigtimedwait',
    130: 'rt_sigsuspend',
    202: 'futex',
    217: 'getdents64',
    219: 'restart_syscall',
    230: 'clock_nanosleep',
    232: 'epoll_wait',
    247: 'waitid',
    257: 'openat',
    263: 'unlinkat',
    270: 'pselect6',
    271: 'ppoll',
    281: 'epoll_pwait',
    285: 'fallocate',
    288: 'accept4',
    426: 'io_uring_enter',
    435: 'clone3',
    441: 'epoll_pwait2',
    449: 'futex_waitv',
  },
  arm64: {
    22: 'epoll_pwait',
    25: 'fcntl',
    29: 'ioctl',
    32: 'flock',
    35: 'unlinkat',
    46: 'ftruncate',
    47: 'fallocate',
    56: 'openat',
    61: 'getdents64',
    63: 'read',
    64: 'write',
    65: 'readv',
    66: 'writev',
    67: 'pread64',
    68: 'pwrite64',
    72: 'pselect6',
    73: 'ppoll',
    82: 'fsync',
    83: 'fdatasync',
    95: 'waitid',
    98: 'futex',
    101: 'nanosleep',
    115: 'clock_nanosleep',
    128: 'restart_syscall',
    133: 'rt_sigsuspend',
    137: 'rt_sigtimedwait',
    202: 'accept',
    203: 'connect',
    206: 'sendto',
    207: 'recvfrom',
    211: 'sendmsg',
    212: 'recvmsg',
    220: 'clone',
    242: 'accept4',
    260: 'wait4',
    426: 'io_uring_enter',
    435: 'clone3',
    441: 'epoll_pwait2',
    449: 'futex_waitv',
  },
};

/** FUTEX_CMD_MASK, and the operations that wait (linux/futex.h): WAIT, LOCK_PI, WAIT_BITSET, WAIT_REQUEUE_PI, LOCK_PI2. */
const FUTEX_COMMAND = 0x7f;
const FUTEX_WAITS = [0, 6, 9, 11, 13];

/** /proc/PID/syscall; undefined when the thread runs, or is not in a call, or the text is of no known form. */
export function parseCall(text: string, machine: string): TaskCall | undefined {
  const words = text.trim().split(' ');
  const number = Number(words[0]);
  if (words.length < 7 || !Number.isInteger(number) || number < 0) return undefined;
  const name = NUMBERS[machine]?.[number] ?? `system call ${number}`;
  const first = Number(words[1]);
  const onDescriptor = ON_DESCRIPTOR.includes(name) && first < 2 ** 31;
  return { name, kind: kindOf(name, words), text: text.trim(), descriptor: onDescriptor ? first : undefined };
}

function kindOf(name: string, words: readonly string[]): CallKind {
  if (IDLE.includes(name)) return 'idle';
  if (name === 'vfork' || name === 'clone' || name === 'clone3') return 'vfork';
  if (name === 'futex_waitv') return Number(words[4]) === 0 ? 'futex' : 'idle';
  if (name !== 'futex' || !FUTEX_WAITS.includes(Number(words[2]) & FUTEX_COMMAND)) return 'other';
  // With a limit of time it comes back, and looks whether there is something to do.
  return Number(words[4]) === 0 ? 'futex' : 'idle';
}
