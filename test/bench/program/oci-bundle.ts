import { mkdirSync, writeFileSync } from 'node:fs';
import { UID_RANGE_COUNT, UID_RANGE_SIZE, uidBaseOf } from '../../../src/plan/identity.ts';
import { BENCH_DIRECTORY, type BenchPlugin } from './plugin.ts';

/** Directory of the plugin's OCI bundle (runtime-spec, config.md). */
export function bundleOf({ name }: BenchPlugin): string {
  return `${BENCH_DIRECTORY}/oci-${name}`;
}

/** The same view and namespaces as a sandbox has, as far as a runtime of OCI bundles makes them; no filter. */
export function writeBundle(plugin: BenchPlugin): void {
  const mapping = { containerID: 0, hostID: uidBaseOf(UID_RANGE_COUNT - 2), size: UID_RANGE_SIZE };
  const bind = (source: string, destination: string) => ({
    ...{ source, destination, type: 'none' },
    options: ['bind', 'ro', 'nosuid', 'nodev'],
  });
  const tmpfs = (destination: string, mode: string) => ({
    ...{ source: 'tmpfs', destination, type: 'tmpfs' },
    options: ['nosuid', 'nodev', `mode=${mode}`, 'size=65536k'],
  });
  const config = {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 1000, gid: 1000 },
      args: plugin.commandInside,
      env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/tmp', 'LANG=C.UTF-8'],
      cwd: '/plugin',
      capabilities: {},
      noNewPrivileges: true,
    },
    root: { path: '/run/bulkhead/skeleton', readonly: true },
    hostname: plugin.name,
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'nodev', 'noexec'] },
      tmpfs('/dev', '755'),
      tmpfs('/tmp', '1777'),
      bind('/usr', '/usr'),
      bind(`/opt/plugin/${plugin.name}/v1`, '/plugin'),
    ],
    linux: {
      namespaces: ['pid', 'mount', 'network', 'ipc', 'uts', 'user', 'cgroup'].map((type) => ({ type })),
      uidMappings: [mapping],
      gidMappings: [mapping],
    },
  };
  mkdirSync(bundleOf(plugin), { recursive: true });
  writeFileSync(`${bundleOf(plugin)}/config.json`, JSON.stringify(config));
}
