import { initFiles } from './init-command.ts';
import { EGRESS_CAPABILITIES, forwarderCommand } from './network.ts';
import type { HostPaths, PlannedMount, SandboxPlan } from './plan.ts';

/** What the spawner is asked for: the box with its options (docs/internals.md), then init with its own. */
export function boxCommand(plan: Omit<SandboxPlan, 'command'>, paths: HostPaths): readonly string[] {
  const { mode } = plan.network;
  const capabilities = [...(mode === 'egress' ? EGRESS_CAPABILITIES : []), ...plan.capabilities];
  return [
    ...['--machine', plan.machine],
    ...['--plugin', plan.plugin],
    ...['--uid-base', String(plan.uidBase)],
    ...['--root', plan.rootDirectory],
    ...plan.mounts.flatMap(mountWords),
    ...['--network', mode === 'host' ? 'host' : 'own'],
    ...forwarderCommand(plan, paths).flatMap((word) => ['--forwarder', word]),
    ...['--nofile', String(initFiles(plan))],
    ...capabilities.flatMap((name) => ['--cap', name]),
    '--',
    ...plan.init,
  ];
}

/** One mount in the spawner's words. */
export function mountWords(mount: PlannedMount): readonly string[] {
  switch (mount.kind) {
    case 'bind-ro':
      return ['--bind-ro', mount.source, mount.target];
    case 'slot':
      return ['--slot', mount.source, mount.target];
    case 'bind':
      return ['--bind', mount.source, mount.target];
    case 'bind-file':
      return ['--bind-file', mount.source, mount.target];
    case 'tmpfs':
      return ['--tmpfs', mount.target, String(mount.size), mount.mode.toString(8).padStart(4, '0')];
    case 'device':
      return ['--device', mount.source, mount.target];
  }
}
