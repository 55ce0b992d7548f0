import { execFile } from 'node:child_process';
import { access, readdir, readFile, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { parseMounts } from '../audit/proc-text.ts';
import type { Clock } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import { formatProblem } from '../base/problem.ts';
import { loadConfiguration } from '../kernel/configuration-files.ts';
import { isListening } from '../kernel/native.ts';
import { readSafeMode } from '../kernel/safe-mode.ts';
import type { DoctorFacts, Fact, Space, Trial } from './doctor-checks.ts';
import type { Manager } from './manager.ts';
import { VERSION } from './version.ts';

/** Each look at the host may take this long; a hanging D-Bus daemon or file system must not hang the doctor. */
const LIMIT_MS = 2000;
/** Starting a sandbox on a busy or emulated machine takes longer than a look. */
const TRIAL_LIMIT_MS = 10_000;

const SKELETON = '/run/bulkhead/skeleton';
const FILTERS = '/run/bulkhead/seccomp';

/** Without one of these bulkhead cannot do its work. */
const ESSENTIAL = [
  '/usr/sbin/bulkheadd',
  '/usr/bin/bulkheadctl',
  '/usr/lib/bulkhead/bulkhead.node',
  '/usr/lib/bulkhead/look-at-node',
  '/usr/lib/bulkhead/look-at-node.mjs',
  '/usr/lib/bulkhead/plugin-anchor',
  '/usr/lib/bulkhead/plugin-init',
  '/usr/lib/bulkhead/plugin-launch',
  '/usr/lib/bulkhead/plugin-quota',
  '/usr/lib/bulkhead/plugin-slot',
  '/usr/lib/bulkhead/plugin-spawner',
  '/usr/lib/bulkhead/bulkhead-seccomp',
  '/usr/lib/bulkhead/templates',
  '/usr/lib/bulkhead/seccomp',
  '/usr/lib/systemd/system/bulkheadd.service',
  '/usr/lib/systemd/system/bulkhead-node.service',
  '/usr/lib/systemd/system/bulkhead-spawner.service',
  '/usr/lib/systemd/system/plugin@.service',
  '/usr/lib/systemd/system/plugin.slice',
  '/usr/share/dbus-1/system.d/org.bulkhead.Manager1.conf',
  '/usr/share/polkit-1/actions/org.bulkhead.policy',
];

export interface DoctorDoors {
  readonly clock: Clock;
  manager(): Promise<Manager>;
}

/** Looks at the host. Every fact that cannot be had says why; this never throws. */
export async function gatherDoctorFacts(doors: DoctorDoors): Promise<DoctorFacts> {
  const look = <T>(read: () => Promise<T>, limitMs = LIMIT_MS) => bounded(read, limitMs, doors.clock);
  // One after the other: the trials start processes, and a laggard must not push the next one over its limit.
  return {
    init: await look(() => line('/proc/1/comm')),
    systemdVersion: await look(systemdVersion),
    kernel: await look(async () => release()),
    cgroups: await look(cgroups),
    controllers: await look(async () => words(await line('/sys/fs/cgroup/cgroup.controllers'))),
    nspawn: await look(nspawnVersion),
    maxUserNamespaces: await look(async () => Number(await line('/proc/sys/user/max_user_namespaces'))),
    userNamespaceTrial: await look(() => trial('unshare', ['--user', 'true'])),
    nspawnTrial: await look(nspawnTrial, TRIAL_LIMIT_MS),
    seccompActions: await look(seccompActions),
    filters: await look(filters),
    addon: await look(async () => tryAddon()),
    systemBus: await look(() => trial('busctl', ['--system', 'call', ...DBUS_DAEMON, 'GetId'])),
    polkit: await look(polkit),
    safeMode: await look(async () => readSafeMode() ?? null),
    supervisor: await look(() => supervisor(doors)),
    ownVersion: VERSION,
    installation: await look(installation),
    configuration: await look(async () => configuration()),
    space: await look(async () => [await space('/run'), await space('/var')]),
    stateQuotas: await look(async () => hasProjectQuotas('/var/lib/bulkhead/state')),
    corePattern: await look(async () => ({
      pattern: await line('/proc/sys/kernel/core_pattern'),
      collector: await isThere('/usr/lib/systemd/systemd-coredump'),
    })),
    kdump: await look(kdump),
    pressure: await look(pressure),
    cgroupFiles: await look(cgroupFiles),
    tcpMigrateReq: await look(async () => optionalNumber('/proc/sys/net/ipv4/tcp_migrate_req')),
    clock: await look(async () => ({ now: Date.now(), synchronised: await synchronised() })),
  };
}

/** Whether the file system that holds the path is mounted with project quotas, as ext4 and XFS tell it. */
async function hasProjectQuotas(path: string): Promise<boolean> {
  const mounts = parseMounts(await line('/proc/self/mountinfo'));
  const above = mounts.filter(({ target }) => target === '/' || `${path}/`.startsWith(`${target}/`));
  // The last one of the longest path is on top.
  const holder = above.reduce((best, mount) => (mount.target.length >= best.target.length ? mount : best));
  return holder.superOptions.includes('prjquota');
}

const DBUS_DAEMON = ['org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus'];

/** The value, or why there is none: an error or no answer in time. The unfinished look is left behind. */
async function bounded<T>(read: () => Promise<T>, limitMs: number, clock: Clock): Promise<Fact<T>> {
  return new Promise((resolve) => {
    const timer = clock.after(limitMs, () => resolve({ unknown: `no answer within ${limitMs / 1000} s` }));
    read()
      .then(
        (known) => resolve({ known }),
        (thrown: unknown) => resolve({ unknown: explain(thrown) }),
      )
      .finally(() => timer.release());
  });
}

function explain(thrown: unknown): string {
  const error = thrown as NodeJS.ErrnoException;
  if (error.code === 'EACCES' || error.code === 'EPERM')
    return `not looked at: permission denied (${error.path ?? 'run as root'})`;
  return `not looked at: ${error.message}`;
}

async function line(path: string): Promise<string> {
  return (await readFile(path, 'utf8')).trim();
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw thrown;
  }
}

async function optionalNumber(path: string): Promise<number | null> {
  return (await isThere(path)) ? Number(await line(path)) : null;
}

/** Runs a program; the output is its standard output, the text of a failure its last line on standard error. */
function output(program: string, args: readonly string[], limitMs = LIMIT_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: limitMs,
      killSignal: 'SIGKILL',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    } as const;
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim().split('\n').at(-1) ?? '';
      if (said !== '' && error.code !== 'ENOENT') error.message = said;
      reject(error);
    });
  });
}

async function trial(program: string, args: readonly string[], limitMs = LIMIT_MS): Promise<Trial> {
  try {
    await output(program, args, limitMs);
    return { worked: true, text: '' };
  } catch (thrown) {
    // The tool for the trial is not there: that says nothing about what was to be tried.
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') throw thrown;
    return { worked: false, text: (thrown as Error).message };
  }
}

/** Any call loads the addon. Standard input need not be a socket, so BH601 is as good as an answer. */
function tryAddon(): Trial {
  try {
    isListening(0);
  } catch (thrown) {
    const { code, message } = asFailure(thrown);
    if (code !== 'BH601') return { worked: false, text: message };
  }
  return { worked: true, text: '' };
}

async function systemdVersion(): Promise<number> {
  const match = /^systemd (\d+)/.exec(await output('systemctl', ['--version']));
  if (match === null) throw new Error('systemctl --version was not understood');
  return Number(match[1]);
}

/** By the magic numbers of statfs(2): CGROUP2_SUPER_MAGIC on the top is unified, below `unified` is hybrid. */
async function cgroups(): Promise<'unified' | 'hybrid' | 'legacy'> {
  const CGROUP2_SUPER_MAGIC = 0x63677270;
  if ((await statfs('/sys/fs/cgroup')).type === CGROUP2_SUPER_MAGIC) return 'unified';
  return (await isThere('/sys/fs/cgroup/unified')) ? 'hybrid' : 'legacy';
}

async function nspawnVersion(): Promise<string | null> {
  try {
    return (await output('systemd-nspawn', ['--version'])).split('\n')[0] ?? '';
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw thrown;
  }
}

/** The flags that matter of a real sandbox, in a transient unit, with the supervisor's own root directory. */
async function nspawnTrial(): Promise<Trial> {
  if (process.geteuid?.() !== 0) throw new Error('only root can try this');
  if (!(await isThere(SKELETON))) throw new Error(`the supervisor has not made ${SKELETON} yet`);
  const machine = `bulkhead-doctor-${process.pid}`;
  const nspawn = ['systemd-nspawn', '--quiet', '--settings=no', '--keep-unit', '--register=no', `--machine=${machine}`];
  const view = [
    '--console=pipe',
    `--directory=${SKELETON}`,
    '--read-only',
    '--bind-ro=/usr',
    '--resolv-conf=off',
    '--timezone=off',
  ];
  const bounds = [
    '--link-journal=no',
    '--private-users=pick',
    '--private-users-ownership=off',
    '--private-network',
    '--no-new-privileges=yes',
  ];
  const unit = ['--quiet', '--wait', '--pipe', '--collect', `--unit=${machine}`, '--property=RuntimeMaxSec=10', '--'];
  return trial('systemd-run', [...unit, ...nspawn, ...view, ...bounds, '--', '/usr/bin/true'], TRIAL_LIMIT_MS);
}

async function seccompActions(): Promise<readonly string[] | null> {
  const path = '/proc/sys/kernel/seccomp/actions_avail';
  return (await isThere(path)) ? words(await line(path)) : null;
}

async function filters(): Promise<readonly string[]> {
  try {
    return (await readdir(FILTERS)).filter((name) => name.endsWith('.bpf'));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  }
}

async function polkit(): Promise<boolean> {
  return isThere('/usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service');
}

async function supervisor(doors: DoctorDoors): Promise<{ version: string } | { failure: string }> {
  try {
    return { version: await (await doors.manager()).version() };
  } catch (thrown) {
    return { failure: asFailure(thrown).message };
  }
}

/** A container sees the files of the machine around it, or none, and can do nothing about either. */
async function kdump(): Promise<{ loaded: boolean; reservedBytes: number } | null> {
  if (await isThere('/run/systemd/container')) return null;
  const [loaded, size] = ['/sys/kernel/kexec_crash_loaded', '/sys/kernel/kexec_crash_size'];
  if (!(await isThere(loaded))) return { loaded: false, reservedBytes: 0 };
  return { loaded: (await line(loaded)) === '1', reservedBytes: (await optionalNumber(size)) ?? 0 };
}

/** With psi=0 the files are there, and reading them fails. */
async function pressure(): Promise<boolean> {
  try {
    return (await line('/proc/pressure/memory')).startsWith('some ');
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EOPNOTSUPP') return false;
    throw thrown;
  }
}

/** The group of PID 1 is there wherever systemd runs. */
async function cgroupFiles(): Promise<readonly string[]> {
  const names = await readdir('/sys/fs/cgroup/init.scope');
  return names.filter((name) => name === 'cgroup.kill' || name === 'cgroup.freeze');
}

async function installation() {
  return Promise.all(ESSENTIAL.map(async (path) => ({ path, present: await isThere(path) })));
}

function configuration() {
  const { files, problems } = loadConfiguration();
  return { files, problems: problems.map(formatProblem) };
}

async function space(path: string): Promise<Space> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(path);
  return { path, freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeInodes: ffree, totalInodes: files };
}

/** What systemd-timesyncd(8) leaves behind, or else what the kernel says through timedatectl(1). */
async function synchronised(): Promise<boolean> {
  if (await isThere('/run/systemd/timesync/synchronized')) return true;
  return (await output('timedatectl', ['show', '--property=NTPSynchronized', '--value'])).trim() === 'yes';
}
