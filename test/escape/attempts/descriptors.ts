import { type Attempt, harmless, refused } from '../attempt.ts';

export const DESCRIPTORS: readonly Attempt[] = [
  {
    name: 'every descriptor that was left to it',
    steps: () => [['descriptors']],
    // Standard streams, the listener, and the two ends of this very connection.
    expects: harmless(
      /^0=rw?:\/dev\/null 1=rw:socket:\[\d+\] 2=rw:socket:\[\d+\] 3=rw:socket:\[\d+\] 4=rw:socket:\[\d+\] 5=rw:socket:\[\d+\] $/,
    ),
  },
  {
    name: 'the listener once more, by /proc',
    steps: () => [['open', '/proc/self/fd/3', 'rw']],
    expects: refused('EACCES'),
  },
  {
    name: 'the journal once more, by /proc',
    steps: () => [['open', '/proc/self/fd/1', 'rw']],
    expects: refused('ENXIO'),
  },
  {
    name: "variables that are none of a payload's",
    steps: () => [['environment']],
    expects: harmless(/^(?:(?:PATH|HOME|LANG|TMPDIR|COLOUR|BULKHEAD_\w+|LISTEN_\w+)=[^;]*;)+$/),
  },
];
