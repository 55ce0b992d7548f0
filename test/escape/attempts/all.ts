import type { Attempt } from '../attempt.ts';
import { BOMBS } from './bombs.ts';
import { CALLS } from './calls.ts';
import { CGROUPS } from './cgroups.ts';
import { DESCRIPTORS } from './descriptors.ts';
import { DEVICES } from './devices.ts';
import { FILES } from './files.ts';
import { KERNEL_FILES } from './kernel-files.ts';
import { MOUNTS } from './mounts.ts';
import { NOTIFICATIONS } from './names.ts';
import { NAMESPACES } from './namespaces.ts';
import { PRIVILEGES } from './privileges.ts';
import { PROCESSES } from './processes.ts';
import { SOCKETS } from './sockets.ts';

/** All that is tried, by subject. */
export const ATTEMPTS: Readonly<Record<string, readonly Attempt[]>> = {
  namespaces: NAMESPACES,
  mounts: MOUNTS,
  "the kernel's files": KERNEL_FILES,
  devices: DEVICES,
  cgroups: CGROUPS,
  processes: PROCESSES,
  sockets: SOCKETS,
  'calls of the kernel': CALLS,
  privileges: PRIVILEGES,
  files: FILES,
  descriptors: DESCRIPTORS,
  notifications: NOTIFICATIONS,
  bombs: BOMBS,
};
