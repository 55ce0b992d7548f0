import { readFileSync } from 'node:fs';
import { type Attempt, harmless, refused } from '../attempt.ts';

/** Whether the limits of cgroups are enforced here; where they are not, test/vm shows that they hold. */
function enforced(controller: string): boolean {
  return readFileSync('/sys/fs/cgroup/cgroup.controllers', 'utf8').split(/\s+/).includes(controller);
}

/** Each stops by itself soon after the limit that has to stop it: the machine is shared. */
export const BOMBS: readonly Attempt[] = [
  ...['/tmp', '/dev/shm'].flatMap((directory): Attempt[] => [
    {
      name: `more bytes than ${directory} may hold`,
      steps: () => [['fill', directory, 64 << 20]],
      expects: refused('ENOSPC'),
    },
    {
      name: `more files than ${directory} may hold`,
      steps: () => [['inodes', directory, 20_000]],
      expects: refused('ENOSPC'),
    },
  ]),
  {
    name: 'more processes than it may have',
    steps: () => [['forks', 100]],
    expects: () => (enforced('pids') ? refused('EAGAIN') : harmless(/^100$/)),
  },
  {
    name: 'more memory than it may have',
    steps: () => [['memory', 160 << 20]],
    expects: () => (enforced('memory') ? harmless(/^signal 9$/) : harmless(/^exit 0$/)),
  },
  {
    name: 'descriptors without end',
    steps: () => [['open-many', 5000, '/dev/null']],
    expects: refused('EMFILE'),
  },
];
