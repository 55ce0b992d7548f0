import assert from 'node:assert/strict';
import { readDeclaration } from '../../src/declare/read-declaration.ts';
import type { HostFacts, HostPaths, PluginPlan } from '../../src/plan/plan.ts';
import { planPlugin, requiredPaths, stampedPaths } from '../../src/plan/plan-plugin.ts';

export const PATHS: HostPaths = {
  lib: '/usr/lib/bulkhead',
  etc: '/etc/bulkhead',
  run: '/run/bulkhead',
  state: '/var/lib/bulkhead/state',
  versions: '/opt/plugin',
  nspawn: '/usr/bin/systemd-nspawn',
};

/** The plan of a plugin 'x' with this declaration, on a host where all that it names is there: versions v0 to v9. */
export function planText(text: string, stamp: (path: string) => string = () => 'stamp'): PluginPlan {
  const read = readDeclaration('x', [{ file: 'x.yaml', text, format: 'yaml' }], () => undefined);
  assert.ok(read.declaration !== undefined, JSON.stringify(read.problems));
  const host: HostFacts = {
    memoryTotal: 2 ** 32,
    cpus: 2,
    systemdVersion: 257,
    cgroupControllers: [],
    paths: PATHS,
    files: new Map(requiredPaths(read.declaration, PATHS).map((path) => [path, kindOf(path)])),
    stamps: new Map(stampedPaths(read.declaration, PATHS).map((path) => [path, stamp(path)])),
    images: new Map(),
    devices: new Map(
      read.declaration.devices.map(({ path }) => [path, { kind: 'char', major: 195, minor: 0, mode: 0o666 }]),
    ),
    seccompProfiles: ['native', 'node'],
  };
  const planned = planPlugin(read.declaration, read.origins, host);
  assert.ok(planned.plan !== undefined, JSON.stringify(planned.problems));
  return planned.plan;
}

function kindOf(path: string): 'directory' | 'executable' {
  return /\/v\d$/.test(path) || path.startsWith('/srv/root') ? 'directory' : 'executable';
}
