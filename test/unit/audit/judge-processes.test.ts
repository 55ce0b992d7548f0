import {
  type BrokenCase,
  itFinds,
  withCredentials,
  withFacts,
  withInit,
  withProcess,
  withProperty,
} from '../../support/audit-changes.ts';
import { credentials } from '../../support/audit-facts.ts';

const FULL = 2n ** 41n - 1n;

/** Each of these walls broken at least once. */
const BROKEN: readonly BrokenCase[] = [
  [
    "the host's network",
    'namespaces',
    'broken',
    /^process 100 'plugin-init': shares net with the host$/,
    () => withFacts(({ hostNamespaces }) => ({ hostNamespaces: { ...hostNamespaces, net: 'net:[2]' } })),
  ],
  [
    'another namespace',
    'namespaces',
    'broken',
    /^process 102 'worker': has another mnt namespace than init$/,
    () => withProcess(102, ({ namespaces }) => ({ namespaces: { ...namespaces, mnt: 'mnt:[9]' }, descriptors: [] })),
  ],
  [
    'a wider range',
    'id-range',
    'broken',
    /^process 100 'plugin-init': gid map 0 0 4294967295$/,
    () => withInit({ gidMap: '0 0 4294967295' }),
  ],
  [
    'the root of the range',
    'ids',
    'broken',
    /^process 102 'worker': uid 1073741824 \(0 inside\)$/,
    () => withCredentials({ uids: [1_073_742_824, 1_073_741_824, 1_073_742_824, 1_073_742_824] }),
  ],
  [
    "the host's root",
    'ids',
    'broken',
    /^process 102 'worker': gid 0 \(outside the range\)$/,
    () => withCredentials({ gids: [0, 0, 0, 0] }),
  ],
  ['a group', 'groups', 'broken', /^process 102 'worker': groups 27$/, () => withCredentials({ groups: [27] })],
  [
    'a capability',
    'capabilities',
    'broken',
    /^process 102 'worker': bounding CAP_NET_RAW$/,
    () => withCredentials({ capabilities: [0n, 0n, 0n, 1n << 13n, 0n] }),
  ],
  [
    'all capabilities',
    'capabilities',
    'broken',
    /inheritable CAP_CHOWN .*CAP_CHECKPOINT_RESTORE; permitted/,
    () => withCredentials({ capabilities: Array(5).fill(FULL) }),
  ],
  [
    'a capability of init',
    'capabilities',
    'broken',
    /^process 100 'plugin-init': effective CAP_SETUID$/,
    () =>
      withInit({
        credentials: [
          credentials({
            uids: Array(4).fill(1_073_741_824),
            gids: Array(4).fill(1_073_741_824),
            capabilities: [0n, 32n, 160n, 0n, 0n],
          }),
        ],
      }),
  ],
  [
    'no_new_privs',
    'no-new-privs',
    'broken',
    /^process 102 'worker': not set$/,
    () => withCredentials({ noNewPrivs: false }),
  ],
  [
    'no filter',
    'seccomp',
    'broken',
    /^process 102 'worker': mode 0$/,
    () => withCredentials({ seccompMode: 0, seccompFilters: 0 }),
  ],
  [
    'a second filter',
    'seccomp',
    'broken',
    /^process 102 'worker': 2 filters$/,
    () => withCredentials({ seccompFilters: 2 }),
  ],
  ['filters that are not told', 'seccomp', 'unknown', /does not tell/, () => withCredentials({ seccompFilters: null })],
  [
    'the OOM score',
    'oom-score',
    'broken',
    /^process 102 'worker': -1000$/,
    () => withProcess(102, () => ({ oomScoreAdj: -1000 })),
  ],
  [
    'open files',
    'open-files',
    'broken',
    /soft 1024, hard Infinity$/,
    () => withProcess(102, () => ({ openFiles: [1024, Number.POSITIVE_INFINITY] })),
  ],
  [
    'a variable',
    'environment',
    'broken',
    /^'LD_PRELOAD' is not planned$/,
    () => withProcess(101, ({ environment }) => ({ environment: [...environment, 'LD_PRELOAD=x'] })),
  ],
  [
    'a value',
    'environment',
    'broken',
    /^'LISTEN_PID' has another value$/,
    () =>
      withProcess(101, ({ environment }) => ({
        environment: environment.map((each) => each.replace('PID=2', 'PID=3')),
      })),
  ],
  [
    'a missing variable',
    'environment',
    'broken',
    /^'HOME' is missing$/,
    () =>
      withProcess(101, ({ environment }) => ({ environment: environment.filter((each) => !each.startsWith('HOME')) })),
  ],
  [
    'a strange parent',
    'parents',
    'broken',
    /^process 102 'worker': child of 7, which is not of the sandbox$/,
    () => withProcess(102, () => ({ parent: 7 })),
  ],
  [
    'a circle of parents',
    'parents',
    'broken',
    /^process 102 'worker': child of 102/,
    () => withProcess(102, () => ({ parent: 102 })),
  ],
  [
    'another main process',
    'parents',
    'broken',
    /^init's parent is 99, and not MainPID=98$/,
    () => withProperty('MainPID', 98),
  ],
  [
    'another cgroup',
    'cgroup',
    'broken',
    /^process 102 'worker': is in '\/user\.slice'$/,
    () => withProcess(102, () => ({ cgroup: '/user.slice' })),
  ],
  [
    'a process beside nspawn',
    'cgroup',
    'broken',
    /^process 77: is in the unit beside its payload$/,
    () => withFacts(() => ({ besidePayload: [99, 77] })),
  ],
];

describe('judging processes', () => itFinds(BROKEN));
