import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { asFailure, Failure } from '../base/failure.ts';
import type { Declaration } from '../declare/declaration.ts';
import type { DeviceFacts, HostFacts, HostPaths, ImageFormat } from '../plan/plan.ts';
import { imagePaths, requiredPaths, stampedPaths } from '../plan/plan-plugin.ts';
import { deviceFacts, imageFormat, stampOf } from './file-facts.ts';

/** Where the package puts things. */
export const HOST_PATHS: HostPaths = {
  lib: '/usr/lib/bulkhead',
  etc: '/etc/bulkhead',
  run: '/run/bulkhead',
  state: '/var/lib/bulkhead/state',
  versions: '/opt/plugin',
  nspawn: '/usr/bin/systemd-nspawn',
};

/** What does not change while the host runs, apart from installed seccomp profiles. */
export type Host = Omit<HostFacts, 'files' | 'stamps' | 'images' | 'devices'>;

const SYSTEMCTL_LIMIT_MS = 5000;

/**
 * Looks at the host. `systemdVersion` saves a process to who knows it already (from the manager's property `Version`).
 * @throws Failure BH203 for what cannot be found out.
 */
export async function readHost(paths: HostPaths = HOST_PATHS, systemdVersion?: number): Promise<Host> {
  return {
    memoryTotal: memoryTotal(await readFile('/proc/meminfo', 'utf8')),
    cpus: availableParallelism(),
    systemdVersion: systemdVersion ?? parseSystemdVersion(await systemctlVersion()),
    cgroupControllers: await controllers(),
    paths,
    seccompProfiles: await profilesIn(seccompDirectories(paths)),
  };
}

/** The facts for planning one declaration: the host, and the files that the declaration names. */
export async function hostFactsFor(host: Host, declaration: Declaration): Promise<HostFacts> {
  const files = new Map<string, FileKind>();
  for (const path of requiredPaths(declaration, host.paths)) files.set(path, await kindOf(path));
  const stamps = new Map<string, string>();
  const images = new Map<string, ImageFormat>();
  for (const path of stampedPaths(declaration, host.paths)) {
    const stamp = stampOf(path);
    if (stamp !== undefined) stamps.set(path, stamp);
  }
  for (const path of imagePaths(declaration, host.paths)) {
    const format = files.get(path) === 'directory' ? undefined : imageFormat(path);
    if (format !== undefined) images.set(path, format);
  }
  const devices = new Map<string, DeviceFacts>();
  for (const { path } of declaration.devices) {
    const facts = deviceFacts(path);
    if (facts !== undefined) devices.set(path, facts);
  }
  return { ...host, files, stamps, images, devices };
}

export type FileKind = 'directory' | 'executable' | 'file' | 'missing';

/**
 * What is at the path, links followed. `executable` means executable by everybody: the payload runs with ids that own
 * nothing. A path that cannot be looked at counts as missing.
 */
export async function kindOf(path: string): Promise<FileKind> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) return 'directory';
    return found.isFile() && (found.mode & 0o001) !== 0 ? 'executable' : 'file';
  } catch {
    return 'missing';
  }
}

/** The number in front of `257.13-1~deb13u1` or after `systemd ` in the output of systemctl --version. */
export function parseSystemdVersion(text: string): number {
  const match = /^(?:systemd )?v?(\d+)/.exec(text);
  if (match === null) throw new Failure('BH203', `the version of systemd was not understood: '${text.slice(0, 40)}'`);
  return Number(match[1]);
}

/** Bytes; `MemTotal:` of proc(5) is in KiB. */
function memoryTotal(meminfo: string): number {
  const match = /^MemTotal:\s+(\d+) kB$/m.exec(meminfo);
  if (match === null) throw new Failure('BH203', "'/proc/meminfo' has no MemTotal");
  return Number(match[1]) * 1024;
}

function systemctlVersion(): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('systemctl', ['--version'], { timeout: SYSTEMCTL_LIMIT_MS }, (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(new Failure('BH203', `systemctl --version: ${asFailure(error).message}`, { cause: error }));
    });
  });
}

/** Controllers of cgroup version 2; on a hybrid host they are looked for where systemd mounts that version. */
async function controllers(): Promise<readonly string[]> {
  for (const top of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']) {
    try {
      const text = await readFile(`${top}/cgroup.controllers`, 'utf8');
      return text.split(/\s+/).filter((word) => word !== '');
    } catch {
      // Not mounted there.
    }
  }
  return [];
}

/** Where seccomp profiles are, the strongest first. */
export function seccompDirectories(paths: HostPaths): readonly string[] {
  return [`${paths.etc}/seccomp`, `${paths.lib}/seccomp`];
}

async function profilesIn(directories: readonly string[]): Promise<readonly string[]> {
  const names = await Promise.all(directories.map((directory) => readdir(directory).catch(() => [])));
  const profiles = names
    .flat()
    .filter((name) => name.endsWith('.list'))
    .map((name) => name.slice(0, -'.list'.length));
  return [...new Set(profiles)].sort();
}
