import { formatBytes } from '../base/bytes.ts';
import { type Declaration, type Origins, RPC_SOCKET_NAME } from '../declare/declaration.ts';
import { originText } from '../declare/place.ts';
import { PROBE_SOCKET_NAME } from '../declare/probe.ts';
import { declaredTexts } from '../plan/declared-texts.ts';
import { asksBeforeAccept } from '../plan/gate.ts';
import { mountUnitName } from '../plan/host-mounts.ts';
import { listenerKey } from '../plan/listener-key.ts';
import type { HostPaths, PlannedListener, PlannedMount, PlannedRpc, PluginPlan, SandboxPlan } from '../plan/plan.ts';
import { planSandbox } from '../plan/plan-sandbox.ts';
import { hasProbeSocket } from '../plan/probes.ts';
import { accessText, discoverySocket, socketNames } from '../plan/rpc.ts';
import { hostMountSettings } from '../unit/host-mount.ts';
import { sliceSettings } from '../unit/plugin-slice.ts';
import { type Settings, type UnitType, unitLines } from '../unit/properties.ts';
import { sandboxSettings, sandboxUnitType } from '../unit/transient-unit.ts';
import type { PlanReport, PlanSection } from './api.ts';

/** What the running supervisor adds: which sandboxes differ from the plan. */
export interface Comparison {
  /** Sandboxes that run now and do not match, and what is missing or too many; undefined when nobody could be asked. */
  readonly differences: readonly string[] | undefined;
  readonly reload: PlanReport['reload'];
  /** Generation that the next sandbox gets; it is part of names, so the plan shows it. */
  readonly nextGeneration: number;
  /** Whether the quota of the state directory is in force; undefined when that cannot be seen. */
  readonly quotaHolds: boolean | undefined;
  /** First host uid that the next sandbox gets. */
  readonly uidBase: number;
}

type Row = PlanSection['rows'][number];

/** Where a value comes from when no key of the declaration decides it. */
const BULKHEAD = 'bulkhead';

/** Everything that a plugin consists of, with origins, as `bulkheadctl plan` shows it. */
export function planReport(plan: PluginPlan, paths: HostPaths, comparison: Comparison): PlanReport {
  const { nextGeneration: generation, uidBase } = comparison;
  const sandbox = planSandbox(plan, { slot: 'a', generation, uidBase }, paths);
  return {
    plugin: plan.plugin,
    version: plan.version ?? null,
    digest: plan.digest,
    sections: [
      { title: 'declaration', rows: declarationRows(plan.declaration, plan.origins, comparison) },
      { title: `unit ${plan.anchorUnit}`, rows: [row('file', '/usr/lib/systemd/system/plugin@.service', 'package')] },
      { title: `slice ${plan.sliceUnit}`, rows: unitRows(sliceSettings(plan), 'Slice', plan.origins) },
      {
        title: `unit ${sandbox.unit}, and so on up to ${plan.size} in all`,
        rows: unitRows(sandboxSettings(sandbox), sandboxUnitType(sandbox), plan.origins),
      },
      ...sandbox.hostMounts.map((mount) => ({
        title: `unit ${mountUnitName(mount.where)}`,
        rows: unitRows(hostMountSettings(mount), 'Mount', plan.origins),
      })),
      { title: 'mounts', rows: mountRows(sandbox, plan.origins) },
      { title: 'network', rows: networkRows(sandbox, plan.origins) },
      {
        title: 'sockets',
        rows: [
          ...plan.listeners.map((listener, index) => socketRow(plan, listener, index)),
          ...(sandbox.rpc === undefined ? [] : rpcRows(plan, sandbox.rpc, paths)),
          ...(hasProbeSocket(sandbox.probes) ? [probeSocketRow(plan)] : []),
          ...(sandbox.gated ? [gateRow(plan)] : []),
        ],
      },
      { title: 'filter', rows: [row('profile', plan.seccomp, originOf('seccomp', plan.origins))] },
      { title: 'command', rows: commandRows(sandbox) },
    ],
    differences: comparison.differences ?? [],
    reload: comparison.reload,
    compared: comparison.differences !== undefined,
  };
}

function row(key: string, value: string, origin: string): Row {
  return { key, value, origin };
}

function originOf(key: string, origins: Origins): string {
  return originText(origins.get(key) ?? origins.get(parentOf(key)));
}

/** `pool.size` may have been given by `pool`, `listen[0].tcp` by `listen[0]`. */
function parentOf(key: string): string {
  return key.replace(/(\.[^.[]+|\[\d+\])$/, '');
}

/** What the supervisor itself acts on; everything else of the declaration shows in the units. */
function declarationRows(declaration: Declaration, origins: Origins, { quotaHolds }: Comparison): Row[] {
  return declaredTexts(declaration).map(([key, text]) =>
    row(key, key === 'state.quota' ? quotaText(text, quotaHolds) : text, originOf(key, origins)),
  );
}

function quotaText(quota: string, holds: boolean | undefined): string {
  if (quota === 'infinity') return quota;
  const words = { true: 'in force', false: 'not enforced: the file system has no project quotas' };
  const shown = holds === undefined ? 'whether it is enforced shows after the first start' : words[`${holds}`];
  return `${quota}, ${shown}`;
}

function unitRows(settings: Settings, type: UnitType, origins: Origins): Row[] {
  return unitLines(settings, type)
    .filter(({ key }) => key !== 'ExecStart')
    .map(({ key, value, from }) =>
      row(key, value === '' ? '(none)' : value, from === undefined ? BULKHEAD : originOf(from, origins)),
    );
}

/** ExecStart= of the unit, one argument a row: on one line nobody could read it. */
function commandRows(sandbox: SandboxPlan): Row[] {
  return sandbox.command.map((word, index) => row(String(index), word, ''));
}

function mountRows(sandbox: SandboxPlan, origins: Origins): Row[] {
  const root = row('/', `${sandbox.rootDirectory}, read-only`, originOf('view.root', origins));
  const mounts = sandbox.mounts.map((mount) =>
    row(mount.target, mountText(mount), mount.from === undefined ? BULKHEAD : originOf(mount.from, origins)),
  );
  return [root, ...mounts];
}

function mountText(mount: PlannedMount): string {
  switch (mount.kind) {
    case 'bind-ro':
      return `${mount.source}, read-only`;
    case 'slot':
      return `${mount.source}, read-only, and what is mounted in it later`;
    case 'bind':
    case 'bind-file':
      return `${mount.source}, writable`;
    case 'tmpfs':
      return `tmpfs of ${formatBytes(mount.size)}, mode ${mount.mode.toString(8).padStart(4, '0')}`;
    case 'device':
      return `device ${mount.source}, ${mount.access}`;
  }
}

/** What is reachable beside the sockets; loud where that is everything. */
function networkRows({ network }: SandboxPlan, origins: Origins): Row[] {
  const origin = originOf('network', origins);
  switch (network.mode) {
    case 'none':
      return [row('none', 'a loopback of its own', origin)];
    case 'host':
      return [row('HOST', 'the network of the host: all that it reaches, its loopback and abstract sockets', origin)];
    case 'egress':
      return network.endpoints.map(({ outside, inside }, index) =>
        row(outside, `at ${inside}`, originOf(`network.egress[${index}]`, origins)),
      );
  }
}

function probeSocketRow(plan: PluginPlan): Row {
  return row(PROBE_SOCKET_NAME, ownSocketText(plan, PROBE_SOCKET_NAME), originOf('health', plan.origins));
}

/** What calls come to, and where clients are told of it. */
function rpcRows(plan: PluginPlan, rpc: PlannedRpc, paths: HostPaths): Row[] {
  const { plugin, origins } = plan;
  const origin = originOf('rpc', origins);
  const access = accessText(rpc);
  return [
    row(RPC_SOCKET_NAME, `${rpc.path} ${access}, ${ownSocketText(plan, RPC_SOCKET_NAME)}`, origin),
    row('discovery', `${discoverySocket(plugin, paths)} ${access}, of the supervisor`, origin),
  ];
}

function ownSocketText({ declaration, listeners }: PluginPlan, name: string): string {
  const descriptor = socketNames(declaration, listeners).lastIndexOf(name) + 3;
  return `LISTEN_FDNAMES ${name}, descriptor ${descriptor}, each sandbox its own`;
}

function gateRow({ declaration, origins }: PluginPlan): Row {
  const whose = asksBeforeAccept(declaration) ? "before the program's accept(2)" : 'before the adapter';
  const key = declaration.pool.standby > 0 ? 'pool.standby' : 'health.readiness';
  return row('gate', `${whose}: connections are taken only while it is open`, originOf(key, origins));
}

/** Of a socket that the program is handed the descriptor, of another one where it is forwarded to. */
function socketRow(plan: PluginPlan, { key, listen }: PlannedListener, index: number): Row {
  const declared = plan.declaration.listen.findIndex((each) => listenerKey(plan.plugin, each) === key);
  const origin = originOf(`listen[${declared}]`, plan.origins);
  const taker =
    listen.to === undefined
      ? `LISTEN_FDNAMES ${listen.name}, descriptor ${index + 3}`
      : `${listen.name}, forwarded to 127.0.0.1:${listen.to} inside`;
  const common = `${taker}, backlog ${listen.backlog}`;
  if (listen.kind === 'unix') {
    const mode = listen.mode.toString(8).padStart(4, '0');
    return row(key, `${listen.path} ${mode} ${listen.user}:${listen.group}, ${common}`, origin);
  }
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return row(key, `${host}:${listen.port}, ${common}`, origin);
}
