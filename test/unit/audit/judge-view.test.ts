import assert from 'node:assert/strict';
import {
  type BrokenCase,
  changedMount,
  itFinds,
  withDescriptor,
  withFacts,
  withMount,
  withPlanned,
  withProcess,
  withState,
  wrong,
} from '../../support/audit-changes.ts';
import { healthySandbox } from '../../support/audit-facts.ts';

const STATE = {
  kind: 'bind',
  source: '/run/bulkhead/state/hello',
  target: '/var/lib/plugin',
  from: undefined,
} as const;
const STATE_OPTIONS = ['rw', 'nosuid', 'nodev', 'noexec', 'idmapped'];
const DEVICE = {
  kind: 'device',
  source: '/dev/nvidia0',
  target: '/dev/nvidia0',
  access: 'r',
  from: undefined,
} as const;

/** Each of these walls broken at least once. */
const BROKEN: readonly BrokenCase[] = [
  [
    'another root',
    'root',
    'broken',
    /^process 102 'worker': has another root directory$/,
    () => withProcess(102, () => ({ root: '44:8' })),
  ],
  ['a writable root', 'root', 'broken', /^\/ is writable$/, () => changedMount('/', { options: ['rw'] })],
  ['a mount over the root', 'root', 'broken', /^2 mounts at \/$/, () => withMount({ target: '/', options: ['ro'] })],
  ['a mount', 'mounts', 'broken', /^\/home \(tmpfs, writable\) is not planned$/, () => withMount({ target: '/home' })],
  [
    'a read-only mount below a bind, which the host does not have',
    'mounts',
    'broken',
    /^\/usr\/share \(ext4, read-only\) is not planned$/,
    () => withMount({ target: '/usr/share', type: 'ext4', options: ['ro'] }),
  ],
  [
    'a writable mount below a bind',
    'mounts',
    'broken',
    /^\/usr\/local \(ext4, writable\) is not planned$/,
    () => changedMount('/usr/local', { options: ['rw'] }),
  ],
  [
    'a mount over a planned one',
    'mounts',
    'broken',
    /^\/tmp \(tmpfs, writable\) is not planned$/,
    () => withMount({ target: '/tmp', superOptions: ['size=65536k'] }),
  ],
  [
    "a second one of nspawn's",
    'mounts',
    'broken',
    /^\/run \(tmpfs, writable\) is not planned$/,
    () => withMount({ target: '/run' }),
  ],
  [
    "one of nspawn's that is writable",
    'mounts',
    'broken',
    /^\/proc\/keys \(tmpfs, writable\) is not planned$/,
    () => changedMount('/proc/keys', { options: ['rw', 'nosuid'] }),
  ],
  [
    'an activity page with devices',
    'mounts',
    'broken',
    /^\/run\/bulkhead\/activity is not nodev$/,
    () => changedMount('/run/bulkhead/activity', { options: ['rw', 'nosuid', 'noexec'] }),
  ],
  [
    'a read-only activity page',
    'mounts',
    'broken',
    /^\/run\/bulkhead\/activity is not writable$/,
    () => changedMount('/run/bulkhead/activity', { options: ['ro', 'nosuid', 'nodev', 'noexec'] }),
  ],
  [
    'set-uid programs',
    'mounts',
    'broken',
    /^\/proc is writable, and not nosuid$/,
    () => changedMount('/proc', { options: ['rw'] }),
  ],
  [
    'a writable one of those that init closes',
    'mounts',
    'broken',
    /^\/dev \(tmpfs, writable\) is not planned$/,
    () => changedMount('/dev', { options: ['rw', 'nosuid'] }),
  ],
  [
    "nspawn's /sys",
    'mounts',
    'broken',
    /^\/sys is not covered$/,
    () => withFacts(({ mounts }) => ({ mounts: mounts.filter(({ id }) => id !== 322) })),
  ],
  [
    "nspawn's /run/host",
    'mounts',
    'broken',
    /^\/run\/host is not covered$/,
    () => withFacts(({ mounts }) => ({ mounts: mounts.filter(({ id }) => id !== 324) })),
  ],
  [
    "others' cgroups",
    'mounts',
    'broken',
    /^\/sys\/fs\/cgroup shows the cgroup '\/'$/,
    () => changedMount('/sys/fs/cgroup', { root: '/' }),
  ],
  ['a writable bind', 'mounts', 'broken', /^\/plugin is writable$/, () => changedMount('/plugin', { options: ['rw'] })],
  [
    'another file',
    'mounts',
    'broken',
    /^\/plugin is not '\/opt\/plugin\/hello\/v1'$/,
    () => withFacts(({ same }) => ({ same: new Map([...same, ['/plugin', false]]) })),
  ],
  [
    'a larger tmpfs',
    'mounts',
    'broken',
    /^\/tmp has room for 1073741824 bytes, planned are 67108864$/,
    () => changedMount('/tmp', { superOptions: ['rw', 'size=1048576k'] }),
  ],
  [
    'devices in a tmpfs',
    'mounts',
    'broken',
    /^\/tmp is not nodev$/,
    () => changedMount('/tmp', { options: ['rw', 'nosuid'] }),
  ],
  [
    'another file system',
    'mounts',
    'broken',
    /^\/tmp \(ext4, writable\) is not the planned tmpfs$/,
    () => changedMount('/tmp', { type: 'ext4' }),
  ],
  [
    'a mount that is missing',
    'mounts',
    'broken',
    /^nothing is mounted at \/tmp$/,
    () => withFacts(({ mounts }) => ({ mounts: mounts.filter(({ target }) => target !== '/tmp') })),
  ],
  [
    'a state directory that runs programs, and is not mapped',
    'mounts',
    'broken',
    /^\/var\/lib\/plugin is not (noexec|idmapped)$/,
    () => withPlanned(STATE, { options: ['rw', 'nosuid', 'nodev'], type: 'ext4' }),
  ],
  [
    'a state directory that cannot be written',
    'mounts',
    'broken',
    /^\/var\/lib\/plugin is not writable$/,
    () => withPlanned(STATE, { options: [...STATE_OPTIONS, 'ro'], type: 'ext4' }),
  ],
  [
    'the state of another plugin',
    'mounts',
    'broken',
    /^\/var\/lib\/plugin is not '\/run\/bulkhead\/state\/hello'$/,
    () => withPlanned(STATE, { options: STATE_OPTIONS, type: 'ext4' }, false),
  ],
  [
    'a device that can be written',
    'mounts',
    'broken',
    /^\/dev\/nvidia0 is writable$/,
    () => withPlanned(DEVICE, { options: ['rw', 'nosuid'], type: 'devtmpfs' }),
  ],
  [
    'another device',
    'mounts',
    'broken',
    /^\/dev\/nvidia0 is not '\/dev\/nvidia0'$/,
    () => withPlanned(DEVICE, { options: ['ro', 'nosuid'], type: 'devtmpfs' }, false),
  ],
  [
    'a quota that is not in force',
    'state',
    'not-enforced',
    /^room for 2097152 bytes: no quota/,
    () => withState(2 << 20),
  ],
  ['a state directory that was not looked at', 'state', 'unknown', /not looked at/, () => withState(null)],
  [
    'a directory of the host',
    'descriptors',
    'broken',
    /^process 102 'worker': descriptor 20 is \/etc, opened through a mount/,
    () => withDescriptor('/etc', { mount: 1 }),
  ],
  [
    'a device',
    'descriptors',
    'broken',
    /is \/dev\/kvm, opened through a mount/,
    () => withDescriptor('/dev/kvm', { mount: 1, device: '10:232' }),
  ],
  [
    'a file called like a memfd',
    'descriptors',
    'broken',
    /is \/memfd:x, /,
    () => withDescriptor('/memfd:x', { mount: 1 }),
  ],
  [
    'an io_uring',
    'descriptors',
    'broken',
    /is anon_inode:\[io_uring\]$/,
    () => withDescriptor('anon_inode:[io_uring]'),
  ],
  ['the report pipe', 'descriptors', 'broken', /which is of init or its parent$/, () => withDescriptor('pipe:[900]')],
  [
    "a host's namespace",
    'descriptors',
    'broken',
    /is mnt:\[1\], which is none of its own$/,
    () => withDescriptor('mnt:[1]'),
  ],
  [
    "a host's socket",
    'descriptors',
    'broken',
    /a socket of the host's network namespace$/,
    () => ({
      ...withDescriptor('socket:[15]'),
      facts: {
        ...withDescriptor('socket:[15]').facts,
        sockets: new Map([...healthySandbox().facts.sockets, ['15', 'host']]),
      },
    }),
  ],
  [
    'a socket of nobody',
    'descriptors',
    'unknown',
    /is socket:\[16\], in no table of sockets$/,
    () => withDescriptor('socket:[16]'),
  ],
  [
    'an interface',
    'network',
    'broken',
    /^interface veth0$/,
    () =>
      withFacts(() => ({
        interfaces: [
          { name: 'lo', idle: false },
          { name: 'veth0', idle: true },
        ],
      })),
  ],
  [
    'a tunnel in use',
    'network',
    'broken',
    /^interface sit0$/,
    () => withFacts(() => ({ interfaces: [{ name: 'sit0', idle: false }] })),
  ],
];

describe('judging what a sandbox sees and holds', () => {
  it('finds nothing wrong with a state directory within its quota, and a device, that are as planned', () => {
    assert.deepEqual(wrong(withPlanned(STATE, { options: STATE_OPTIONS, type: 'ext4' })), []);
    assert.deepEqual(wrong(withPlanned(DEVICE, { options: ['ro', 'nosuid'], type: 'devtmpfs' })), []);
    assert.deepEqual(wrong(withState(1 << 20)), []);
    assert.deepEqual(wrong(withState(1 << 30, 'infinity')), []);
  });

  itFinds(BROKEN);
});
