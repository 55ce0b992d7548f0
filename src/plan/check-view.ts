import type { Declaration, DeviceAccess } from '../declare/declaration.ts';
import { HOSTS, hostsText, planNetwork } from './network.ts';
import type { DeviceFacts, HostFacts } from './plan.ts';
import type { PlanProblems } from './plan-problems.ts';
import { mountPoints, ROOT_DIRECTORIES } from './sandbox-view.ts';

/** Directories that the declared root needs. */
export function rootDirectories(declaration: Declaration): readonly string[] {
  return [...ROOT_DIRECTORIES, ...mountPoints(declaration)];
}

/** A root of the plugin's own. What is in an image is seen when it is mounted; a directory is looked at now. */
export function checkRoot(declaration: Declaration, host: HostFacts, problems: PlanProblems): void {
  const { root } = declaration.view;
  if (host.files.get(root) !== 'directory') {
    if (host.images.has(root) && host.stamps.has(root)) return;
    problems.add('BH204', 'view.root', `'${root}' is neither a directory nor a squashfs or erofs image`);
    return;
  }
  if (hostsText(planNetwork(declaration.network)) !== undefined && host.files.get(`${root}${HOSTS}`) !== 'file') {
    const what = `'${root}' has no file '${HOSTS}', where the names of 'network.egress' go`;
    problems.add('BH204', 'view.root', what, `touch ${root}${HOSTS}`);
  }
  const missing = rootDirectories(declaration).filter(
    (directory) => host.files.get(`${root}${directory}`) !== 'directory',
  );
  if (missing.length === 0) return;
  const paths = missing.map((directory) => `${root}${directory}`).join(' ');
  problems.add('BH204', 'view.root', `'${root}' has no directory '${missing.join("', '")}'`, `mkdir -p ${paths}`);
}

/** Whether each declared device is one, may be given away, and can be opened by the payload, whom nobody knows. */
export function checkDevices({ devices }: Declaration, host: HostFacts, problems: PlanProblems): void {
  for (const [index, { path, access }] of devices.entries()) {
    const wrong = whatIsWrong(path, access, host.devices.get(path));
    if (wrong !== undefined) problems.add('BH208', `devices[${index}]`, `'${path}' ${wrong.message}`, wrong.hint);
  }
}

interface Wrong {
  readonly message: string;
  readonly hint?: string;
}

function whatIsWrong(path: string, access: DeviceAccess, facts: DeviceFacts | undefined): Wrong | undefined {
  if (facts === undefined) return { message: 'does not exist' };
  if (facts.kind === 'other') return { message: 'is not a device node' };
  const why = whyRefused(path, facts);
  if (why !== undefined) return { message: `is refused: ${why}` };
  const needed = BITS[access];
  if ((facts.mode & needed) === needed) return undefined;
  const mode = facts.mode.toString(8).padStart(4, '0');
  const message = `has mode ${mode}: a payload could not open it for '${access}'`;
  return { message, hint: `chmod o+${access} ${path}, for good by a udev rule` };
}

/** Permission bits of others. */
const BITS: Readonly<Record<DeviceAccess, number>> = { r: 0o4, w: 0o2, rw: 0o6 };

const MEMORY = "it gives the host's memory away";
const DISKS = "it gives the host's disks away";

/** Character devices whose numbers are fixed (devices.txt of the kernel's documentation). */
const REFUSED: readonly { readonly major: number; readonly minors?: readonly number[]; readonly why: string }[] = [
  { major: 1, minors: [1, 2, 4], why: MEMORY },
  { major: 1, minors: [11], why: "it gives the kernel's messages away" },
  { major: 10, minors: [229], why: 'without mount(2), which no sandbox has, it serves for nothing' },
  { major: 10, minors: [231], why: MEMORY },
  { major: 10, minors: [234, 236, 237], why: DISKS },
  { major: 21, why: DISKS },
  { major: 162, why: DISKS },
  { major: 202, why: 'it gives the processors away' },
];

/** Those whose numbers are not fixed: NVMe controllers, SCSI by other ways, device mapper. */
const REFUSED_NAMES = /^\/dev\/(nvme|ng\d|bsg\/|mapper\/|raw\/|sg\d)/;

/** Why nobody may have the device; undefined when it is only a device. */
function whyRefused(path: string, { kind, major, minor }: DeviceFacts): string | undefined {
  if (kind === 'block' || REFUSED_NAMES.test(path)) return DISKS;
  return REFUSED.find((row) => row.major === major && (row.minors?.includes(minor) ?? true))?.why;
}
