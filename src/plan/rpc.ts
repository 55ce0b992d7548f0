import { type Declaration, RPC_SOCKET_NAME } from '../declare/declaration.ts';
import { PROBE_SOCKET_NAME } from '../declare/probe.ts';
import { handedOver } from './init-command.ts';
import type { HostPaths, PlannedListener, PlannedRpc } from './plan.ts';
import { hasProbeSocket } from './probes.ts';

/**
 * Where the sockets for calls of a plugin's sandboxes are. No name of a plugin is so long that the path of one of them
 * would not fit into a socket's address (107 bytes, unix(7)).
 */
export function rpcDirectory(plugin: string, paths: HostPaths): string {
  return `${paths.run}/rpc/${plugin}`;
}

/** The socket for calls of one of them. */
export function rpcSocket(plugin: string, generation: number, paths: HostPaths): string {
  return `${rpcDirectory(plugin, paths)}/${generation}`;
}

export function discoveryDirectory(paths: HostPaths): string {
  return `${paths.run}/discovery`;
}

/** Where clients are told which sandboxes there are. */
export function discoverySocket(plugin: string, paths: HostPaths): string {
  return `${discoveryDirectory(paths)}/${plugin}`;
}

export function planRpc({ name, rpc }: Declaration, generation: number, paths: HostPaths): { rpc?: PlannedRpc } {
  return rpc === undefined ? {} : { rpc: { ...rpc, path: rpcSocket(name, generation, paths) } };
}

/** Names of all sockets that the program is handed, in their order from descriptor 3 on. */
export function socketNames({ rpc, health }: Declaration, listeners: readonly PlannedListener[]): readonly string[] {
  return [
    ...handedOver(listeners).map(({ listen }) => listen.name),
    ...(rpc === undefined ? [] : [RPC_SOCKET_NAME]),
    ...(hasProbeSocket(health) ? [PROBE_SOCKET_NAME] : []),
  ];
}

/** Who may call, in words: `root:app 0660`. */
export function accessText({ user, group, mode }: Pick<PlannedRpc, 'user' | 'group' | 'mode'>): string {
  return `${user}:${group} ${mode.toString(8).padStart(4, '0')}`;
}
