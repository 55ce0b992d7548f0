import { capabilityMask, capabilityText } from '../base/capability-mask.ts';
import { endpointText } from '../declare/endpoint.ts';
import { parseTcpAddress } from '../declare/tcp-address.ts';
import { ADAPTER_UID, FORWARDER_UID } from '../plan/network.ts';
import type { SandboxPlan } from '../plan/plan.ts';
import { asksByCommand, PROBER_UID, questionsOf } from '../plan/probes.ts';
import { NAMESPACES, type Namespaces, type ProcessFacts, type SandboxFacts } from './facts.ts';
import { type Finding, wallOf } from './finding.ts';
import { nameOf } from './judge-processes.ts';

/**
 * Devices that the kernel puts into every network namespace when their module is loaded
 * (net.core.fb_tunnels_only_for_init_net): down, and no payload may bring one up.
 */
const FALLBACK_DEVICES = ['tunl0', 'sit0', 'ip6tnl0', 'gre0', 'gretap0', 'erspan0', 'ip_vti0', 'ip6_vti0', 'ip6gre0'];

/** What can be reached, and the processes of ours that see to it. */
export function judgeNetwork(plan: SandboxPlan, seen: SandboxFacts): Finding[] {
  const { mode, endpoints } = plan.network;
  const helpers = helperDeviations(plan, seen);
  if (mode === 'host') {
    const told = 'the network of the HOST: all that it reaches, its loopback and its abstract sockets';
    return wallOf('network', "the host's network, as declared", told, helpers);
  }
  const inside = mode === 'none' ? '' : `, endpoints that the forwarder serves: ${endpoints.length}`;
  const names = seen.interfaces.map(({ name }) => name).join(', ');
  const holds = `${names === '' ? 'no interface' : names}${inside}`;
  return wallOf('network', `no interface but lo${inside}`, holds, [
    ...seen.interfaces
      .filter(({ name, idle }) => name !== 'lo' && !(idle && FALLBACK_DEVICES.includes(name)))
      .map(({ name }) => `interface ${name}`),
    ...endpointDeviations(plan, seen),
    ...helpers,
  ]);
}

/** Each endpoint is a listening socket that the forwarder has, and nobody else. */
function endpointDeviations({ network }: SandboxPlan, { listening, forwarders }: SandboxFacts): string[] {
  const own = new Set(forwarders.flatMap(({ descriptors }) => descriptors.map(({ target }) => target)));
  return network.endpoints.flatMap(({ inside }) => {
    const inode = listening.get(plainAddress(inside));
    if (inode === undefined) return [`nothing listens at ${inside}`];
    return own.has(`socket:[${inode}]`) ? [] : [`the socket at ${inside} is not the forwarder's`];
  });
}

/** As `listening` has it: in the shortest form, whatever was written. */
function plainAddress(text: string): string {
  const address = parseTcpAddress(text);
  return 'refused' in address ? text : endpointText(address);
}

function helperDeviations(plan: SandboxPlan, seen: SandboxFacts): string[] {
  const { forwarders, adapter, init, hostNamespaces } = seen;
  const wanted = plan.network.mode !== 'egress' ? 0 : plan.network.endpoints.some(({ name }) => name) ? 2 : 1;
  const adapts = plan.listeners.some(({ listen }) => listen.to !== undefined);
  return [
    ...(forwarders.length === wanted ? [] : [`${forwarders.length} processes of the forwarder instead of ${wanted}`]),
    ...forwarders.flatMap((each) => [
      ...confinementDeviations(each, plan.uidBase + FORWARDER_UID),
      ...elsewhere(each, ['net', 'user', 'pid'], hostNamespaces),
    ]),
    ...(adapts === (adapter !== undefined) ? [] : [`the adapter is ${adapts ? 'missing' : 'not planned'}`]),
    ...(adapter === undefined
      ? []
      : [
          ...confinementDeviations(adapter, plan.uidBase + ADAPTER_UID),
          ...elsewhere(adapter, NAMESPACES, init.namespaces),
        ]),
    ...proberDeviations(plan, seen),
  ];
}

/** Where it has to become the payload, the prober keeps what that takes; else it is confined as the others are. */
function proberDeviations(plan: SandboxPlan, { prober, init }: SandboxFacts): string[] {
  const planned = questionsOf(plan.probes, plan.metrics) > 0;
  if (planned !== (prober !== undefined)) return [`the prober is ${planned ? 'missing' : 'not planned'}`];
  if (prober === undefined) return [];
  const privileges = capabilityMask([...PROBER_CAPABILITIES, ...plan.capabilities]);
  const wrong = asksByCommand(plan.probes)
    ? prober.credentials.flatMap(({ capabilities, noNewPrivs }) => [
        ...capabilities
          .filter((set, index) => index !== BOUNDING && (set & ~privileges) !== 0n)
          .map((set) => `${nameOf(prober)}: capabilities ${capabilityText(set)}`),
        ...(noNewPrivs ? [] : [`${nameOf(prober)}: may get new privileges`]),
      ])
    : confinementDeviations(prober, plan.uidBase + PROBER_UID);
  return [...wrong, ...elsewhere(prober, NAMESPACES, init.namespaces)];
}

/** As native/init/prober.c keeps them, beside declared ones. */
const PROBER_CAPABILITIES = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_KILL'];
/** Index of the bounding set, which is init's before it gives it up. */
const BOUNDING = 3;

/** A helper has ids of its own, no privileges, a filter, and no file but standard streams. */
function confinementDeviations(member: ProcessFacts, id: number): string[] {
  const wrong = member.credentials.flatMap((each) => [
    ...([...each.uids, ...each.gids].every((one) => one === id)
      ? []
      : [`ids ${[...each.uids, ...each.gids].join(' ')}`]),
    ...(each.groups.length === 0 ? [] : [`groups ${each.groups.join(' ')}`]),
    ...each.capabilities.filter((set) => set !== 0n).map((set) => `capabilities ${capabilityText(set)}`),
    ...(each.noNewPrivs ? [] : ['may get new privileges']),
    ...(each.seccompMode === 2 ? [] : [`seccomp mode ${each.seccompMode}`]),
  ]);
  const files = member.descriptors.filter(({ target, device }) => target.startsWith('/') && device !== NULL_DEVICE);
  return [...wrong, ...files.map(({ fd, target }) => `descriptor ${fd} is ${target}`)].map(
    (text) => `${nameOf(member)}: ${text}`,
  );
}

/** In other namespaces than these. */
function elsewhere(member: ProcessFacts, kinds: readonly (typeof NAMESPACES)[number][], wanted: Namespaces): string[] {
  const other = kinds.filter((kind) => member.namespaces[kind] !== wanted[kind]);
  return other.length === 0 ? [] : [`${nameOf(member)}: another ${other.join(', ')} namespace`];
}

/** Number of /dev/null (devices.txt of the kernel's documentation). */
const NULL_DEVICE = '1:3';
