import fc from 'fast-check';

/** A declaration as JSON, which is YAML, too; without what `completed` adds. */
export type Declared = Readonly<Record<string, unknown>>;

/** A directory of the host that `completed` expects as a root, and a node, a file and mount points for declarations. */
export const ROOT = '/srv/arbitrary-root';
export const DEVICE = '/dev/arbitrary';
export const SECRET_FILE = '/etc/arbitrary-secret';
export const PLACES = ['/var/cache/app', '/home', '/opt', '/var/tmp'];
export const STATE = '/var/lib/state';

const PROFILES = ['native', 'static', 'go', 'jvm', 'python', 'node'];
const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_FOWNER',
  'CAP_KILL',
  'CAP_NET_ADMIN',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
];

const megabytes = (min: number, max: number) => fc.integer({ min, max }).map((count) => `${count}M`);

/** Whatever systemd, nspawn, the launcher or a shell might take for something else. */
const text = fc
  .array(
    fc.constantFrom(
      'a',
      'Z',
      '0',
      ' ',
      '$',
      '$HOME',
      '%n',
      '%%',
      '\\',
      '"',
      "'",
      ':',
      ';',
      '=',
      '#',
      'ä',
      '☃',
      '\t',
      '--',
    ),
    {
      maxLength: 12,
    },
  )
  .map((parts) => parts.join(''));

const listen = fc.record(
  {
    kind: fc.constantFrom('tcp', 'tcp6', 'unix'),
    backlog: fc.integer({ min: 1, max: 4096 }),
  },
  { requiredKeys: ['kind'] },
);

/** All keys, each there or not. */
export const declarations: fc.Arbitrary<Declared> = fc.record(
  {
    isolation: fc.constantFrom('nspawn', 'scope'),
    seccomp: fc.constantFrom(...PROFILES),
    description: text.filter((line) => !/\p{Cc}/u.test(line)),
    arguments: fc.array(text, { maxLength: 3 }),
    environment: fc.dictionary(
      fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,11}$/).map((name) => `X_${name}`),
      text,
      { maxKeys: 4 },
    ),
    listen: fc.array(listen, { maxLength: 3 }),
    pool: fc.record({ size: fc.constantFrom(1, 1, 2) }),
    view: fc.record(
      {
        root: fc.constantFrom('host', ROOT),
        tmp: megabytes(1, 64),
        tmpfs: fc.uniqueArray(
          fc.record({ path: fc.constantFrom(...PLACES), size: megabytes(1, 8) }, { requiredKeys: ['path'] }),
          { maxLength: 2, selector: ({ path }) => path },
        ),
      },
      { requiredKeys: [] },
    ),
    state: fc.constant({ path: STATE }),
    credentials: fc.dictionary(fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,8}$/), fc.constant({ path: SECRET_FILE }), {
      maxKeys: 2,
    }),
    devices: fc.constantFrom('r', 'w', 'rw').map((access) => [{ path: DEVICE, access }]),
    network: fc.constantFrom(
      'none',
      'host',
      { egress: ['10.1.2.3:5432'] },
      { egress: ['127.0.0.1:9', '169.254.169.254:80'] },
    ),
    allow: fc.subarray(['io_uring', 'keyring', 'perf', 'ptrace']),
    programs: fc.constantFrom('any', 'own'),
    capabilities: fc.subarray(CAPABILITIES, { maxLength: 3 }),
    limits: fc.record(
      {
        memory: megabytes(48, 512),
        'memory-high': fc.constantFrom('50%', '100%', 'infinity'),
        swap: fc.constantFrom(0, '16M', 'infinity'),
        cpu: fc.constantFrom('50%', '150%', 'infinity'),
        'cpu-weight': fc.integer({ min: 1, max: 10000 }),
        tasks: fc.integer({ min: 4, max: 200 }),
        files: fc.integer({ min: 64, max: 4096 }),
        'memory-lock': fc.constantFrom(0, '64K'),
        'io-weight': fc.integer({ min: 1, max: 10000 }),
      },
      { requiredKeys: [] },
    ),
    health: fc.record(
      // Not what is tried here: on a busy machine a short one is reached.
      { ready: fc.constantFrom('exec', 'notify'), 'start-timeout': fc.constantFrom('5min', '10min') },
      { requiredKeys: [] },
    ),
    stop: fc.record({ signal: fc.constantFrom('SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGWINCH') }),
    recovery: fc.record({ budget: fc.record({ restarts: fc.integer({ min: 0, max: 9 }) }) }),
  },
  { requiredKeys: [] },
);

/** With what is the same for all, and with addresses that no other one has. */
export function completed(declared: Declared, name: string, index: number): Declared {
  const { arguments: words = [], listen: sockets, ...rest } = declared;
  const port = 20_000 + 4 * index;
  const addresses = (sockets as { kind: string; backlog?: number }[] | undefined)?.map(({ kind, ...more }, nth) => ({
    ...more,
    name: `socket-${nth}`,
    ...(kind === 'unix'
      ? { unix: `/run/plugin/${name}-${nth}.sock`, mode: '0600' }
      : { tcp: `${kind === 'tcp6' ? '[::1]' : '127.0.0.1'}:${port + nth}` }),
  }));
  return {
    version: 'v1',
    exec: ['./main', 'wait', ...(words as string[])],
    ...rest,
    ...(addresses === undefined ? {} : { listen: addresses }),
    // One that a signal does not end is killed, and not waited for.
    stop: { ...(rest.stop as object | undefined), timeout: '1s' },
  };
}
