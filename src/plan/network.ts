import type { Declaration, Network } from '../declare/declaration.ts';
import { endpointText } from '../declare/endpoint.ts';
import type { Probes } from '../declare/probe.ts';
import type { MetricsEndpoint } from '../declare/upgrade.ts';
import type { HostPaths, PlannedEndpoint, PlannedListener, PlannedNetwork, ReadOnlyBind, SandboxPlan } from './plan.ts';
import { questionsOf } from './probes.ts';

/** uid and gid of the adapter inside (native/init/adapter.h), and of the forwarder outside, in the sandbox's range. */
export const ADAPTER_UID = 1001;
export const FORWARDER_UID = 1002;

/** The forwarder's cgroup below the unit's; native/launch/forwarder.c. */
export const FORWARDER_GROUP = 'egress';

/** Connections that the forwarder has at most (native/egress/main.c); a plugin has no more than it has descriptors. */
const MOST_CONNECTIONS = 4096;

/** Of the forwarder: listeners, questions to name servers, and its own. */
const OTHER_DESCRIPTORS = 256;

/** Capabilities of init in the sandbox's user namespace, for addresses and for ports below 1024; given up with the others. */
export const EGRESS_CAPABILITIES: readonly string[] = ['CAP_NET_ADMIN', 'CAP_NET_BIND_SERVICE'];

/** Of one of them, beside its connections; what these take counts as the payload's. */
const HELPER_MEMORY = 1024 ** 2;

/** Addresses are there under themselves; names get one of the loopback's, all of which every network namespace has. */
export function planNetwork({ mode, egress }: Network): PlannedNetwork {
  const literal = new Set(egress.map(({ host }) => host));
  const addresses = new Map<string, string>();
  let last = 0;
  const addressOf = (name: string): string => {
    const known = addresses.get(name);
    if (known !== undefined) return known;
    do last += 1;
    while (literal.has(`127.83.0.${last}`));
    addresses.set(name, `127.83.0.${last}`);
    return `127.83.0.${last}`;
  };
  const endpoints = egress.map((endpoint): PlannedEndpoint => {
    const { host, port, isName } = endpoint;
    const outside = endpointText(endpoint);
    if (!isName) return { outside, inside: outside };
    const address = addressOf(host);
    return { outside, inside: endpointText({ host: address, port }), name: host, address };
  });
  return { mode, endpoints };
}

/** What our own processes that serve a sandbox's network need in its unit: tasks, and bytes of memory. */
export interface HelperNeeds {
  readonly tasks: number;
  readonly memory: number;
}

/** Of processes of ours in the unit; who asks has one process for each question. */
export function helperNeeds(
  { network, listeners }: Pick<SandboxPlan, 'network' | 'listeners'>,
  probes: Probes,
  metrics: MetricsEndpoint | undefined,
): HelperNeeds {
  const hasNames = network.endpoints.some(({ name }) => name !== undefined);
  const egress = network.mode === 'egress' ? (hasNames ? 2 : 1) : 0;
  const adapter = listeners.some(({ listen }) => listen.to !== undefined) ? 1 : 0;
  const questions = questionsOf(probes, metrics);
  const prober = questions === 0 ? 0 : 1 + questions;
  return { tasks: egress + adapter + prober, memory: (egress + adapter + Math.min(prober, 1)) * HELPER_MEMORY };
}

/** The forwarder's command, empty where there is none. */
export function forwarderCommand(
  plan: Pick<SandboxPlan, 'network' | 'uidBase' | 'limits'>,
  paths: HostPaths,
): readonly string[] {
  if (plan.network.mode !== 'egress') return [];
  return [
    `${paths.lib}/plugin-egress`,
    `--uid=${plan.uidBase + FORWARDER_UID}`,
    `--connections=${Math.min(plan.limits.files, MOST_CONNECTIONS)}`,
    ...plan.network.endpoints.map(({ outside }) => outside),
  ];
}

/** Descriptors that processes of the unit may have: the forwarder takes two for each connection; native/egress/main.c. */
export function forwarderFiles({ network, limits }: Pick<SandboxPlan, 'network' | 'limits'>): number {
  return network.mode === 'egress' ? 2 * Math.min(limits.files, MOST_CONNECTIONS) + OTHER_DESCRIPTORS : 0;
}

/** Init's options about the network. */
export function networkOptions(
  { health }: Declaration,
  network: PlannedNetwork,
  listeners: readonly PlannedListener[],
): readonly string[] {
  const ports = listeners.flatMap(({ listen }) => (listen.to === undefined ? [] : [`--to=${listen.to}`]));
  return [
    ...ports,
    ...(ports.length === 0 ? [] : [`--start-timeout=${health.startTimeoutMs}`]),
    ...network.endpoints.map(({ inside }) => `--egress=${inside}`),
  ];
}

/** Where the sandbox's own hosts(5) is on the host. */
export function hostsPath(unit: string, paths: HostPaths): string {
  return `${paths.run}/sandbox/${unit}.hosts`;
}

export const HOSTS = '/etc/hosts';

/** The sandbox's own hosts(5), read-only, if it needs one. */
export function hostsMount(network: PlannedNetwork, unit: string, paths: HostPaths): readonly ReadOnlyBind[] {
  if (hostsText(network) === undefined) return [];
  return [{ kind: 'bind-ro', source: hostsPath(unit, paths), target: HOSTS, from: 'network.egress' }];
}

/** What a sandbox that may connect to names finds in hosts(5); undefined for another one. */
export function hostsText({ endpoints }: PlannedNetwork): string | undefined {
  const names = endpoints.flatMap(({ name, address }) => (name === undefined ? [] : [`${address} ${name}\n`]));
  return names.length === 0 ? undefined : `127.0.0.1 localhost\n::1 localhost\n${[...new Set(names)].join('')}`;
}
