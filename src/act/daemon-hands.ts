import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../base/clock.ts';
import { asFailure, type Failure } from '../base/failure.ts';
import { endUpgrade } from '../base/live-record.ts';
import type { AnchorWord, Crash, Order, RunOrder, WantedVersion } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { otherSlot } from '../decide/sides.ts';
import type { RpcAccess } from '../declare/declaration.ts';
import { isRiskyAllowed } from '../declare/risky.ts';
import type { Incident } from '../diagnose/incident.ts';
import { readLiveRecord, writeLiveRecord } from '../kernel/live-records.ts';
import { pluginSliceName } from '../plan/identity.ts';
import type {
  BySlot,
  Gate,
  HostPaths,
  PlannedListener,
  PluginPlan,
  SlotName,
  StartOrder,
  Weights,
} from '../plan/plan.ts';
import type { SandboxParts } from '../sandbox/sandbox-parts.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import { withLimits } from '../unit/administrator-limits.ts';
import { pluginSlice } from '../unit/plugin-slice.ts';
import { requireVersion } from './load-plan.ts';
import type { Hands, LoadedDeclaration, PlannedVersion } from './plugin-loop.ts';
import type { RanCommand, RunCommands } from './run-command.ts';
import type { SystemdUnits } from './systemd-units.ts';
import type { UpgradeChecks, VerifyOrder } from './upgrade-checks.ts';
import { failedPlans, type RecordOrder, recordAfter } from './upgrade-record.ts';
import type { VersionChecks } from './version-checks.ts';

/** The plugin's sockets; made in traffic/, which comes after this folder. */
export interface PluginSockets {
  /** @param sides what each slot listens on that is served, or is about to be */
  ensure(plugin: string, sides: BySlot<readonly PlannedListener[]>, weights: Weights): Promise<void>;
  /** Shares new connections out; to be asked for as often as one likes. Throws BH220. */
  weigh(plugin: string, weights: Weights): void;
  closeAll(plugin: string): Promise<void>;
}

/** Tells callers which sandboxes there are; made in traffic/, which comes after this folder. */
export interface CallDiscovery {
  /** Serves it to whom the access names, or, without one, to nobody. Throws BH317. */
  ensure(plugin: string, access: RpcAccess | undefined): Promise<void>;
  crashed(plugin: string, crash: Crash): void;
  close(plugin: string): void;
}

/** Keeps incidents; made in record/, which comes after this folder. */
export interface IncidentKeeper {
  open(incident: Incident): void;
  step(id: string, text: string): void;
  over(id: string, text: string): void;
}

export interface DaemonHandsParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly systemdVersion: number;
  readonly units: SystemdUnits;
  readonly sandboxes: Sandboxes;
  readonly hostParts: SandboxParts;
  readonly sockets: PluginSockets;
  readonly discovery: CallDiscovery;
  readonly incidents: IncidentKeeper;
  readonly commands: RunCommands;
  readonly versions: Pick<VersionChecks, 'require' | 'removeOld'>;
  readonly checks: UpgradeChecks;
  readonly unkillableRoom: () => number;
  readonly tell: (plugin: string, word: AnchorWord) => void;
  readonly note: (plugin: string, note: Extract<Order, { kind: 'note' }>) => void;
  readonly save: (state: PluginState) => void;
  /** What went wrong in clearing up, and is ignored. */
  readonly ignored: (text: string, failure: Failure) => void;
}

/** Carries out orders on the real machine. */
export class DaemonHands implements Hands {
  readonly #parts: DaemonHandsParts;
  /** Making and giving up of a plugin's sockets and slice go one after the other. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(parts: DaemonHandsParts) {
    this.#parts = parts;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  random(): number {
    return Math.random();
  }

  wall(): number {
    return Date.now();
  }

  riskyAllowed(plan: PluginPlan | undefined): boolean {
    const now = new Date();
    const time = { day: now.getDay(), minute: now.getHours() * 60 + now.getMinutes() };
    return isRiskyAllowed(plan?.declaration.recovery.risky, time);
  }

  unkillableRoom(): number {
    return this.#parts.unkillableRoom();
  }

  /** A plan is no plan as long as its version is not what was installed. */
  async load(plugin: string, isChanging: boolean): Promise<LoadedDeclaration> {
    if (!isChanging) await this.#endWhatIsOver(plugin);
    const loaded = await requireVersion(plugin, 'declared', this.#parts.paths, this.#parts.systemdVersion);
    await this.#parts.versions.require(loaded.plan);
    return { ...loaded, failed: failedPlans(readLiveRecord(plugin)) };
  }

  prepare(plugin: string, plans: BySlot<PluginPlan>, weights: Weights): Promise<void> {
    const { sandboxes, hostParts, sockets, discovery } = this.#parts;
    const all = [plans.a, plans.b].filter((plan) => plan !== undefined);
    for (const plan of all) sandboxes.announce(plan);
    return this.#inTurn(plugin, async () => {
      hostParts.inForce(plugin, plans);
      const sides = { ...(plans.a && { a: plans.a.listeners }), ...(plans.b && { b: plans.b.listeners }) };
      await sockets.ensure(plugin, sides, weights);
      const [live, other] = [plans[weights.live], plans[otherSlot(weights.live)]];
      await discovery.ensure(plugin, live?.declaration.rpc ?? other?.declaration.rpc);
      if (live !== undefined) await this.applyLimits(live, other);
      hostParts.letGo().catch((error: unknown) => {
        this.#parts.ignored(`a mount of '${plugin}' cannot be stopped, ignoring`, asFailure(error));
      });
    });
  }

  /** Gives the plugin's slice its limits: the declared ones, over which the administrator's for the anchor go. */
  async applyLimits(plan: PluginPlan, beside?: PluginPlan): Promise<void> {
    const { units } = this.#parts;
    await units.ensureSlice(withLimits(pluginSlice(plan, beside), await units.anchorLimits(plan.plugin)));
  }

  retire(plugin: string): void {
    const slice = pluginSliceName(plugin);
    const retired = this.#inTurn(plugin, async () => {
      this.#parts.discovery.close(plugin);
      await this.#parts.sockets.closeAll(plugin);
      await this.#parts.units.dropSlice(slice);
      await this.#parts.hostParts.retire(plugin);
    });
    retired.catch((error: unknown) => {
      this.#parts.ignored(`slice '${slice}' or a mount of '${plugin}' cannot be stopped, ignoring`, asFailure(error));
    });
  }

  startSandbox(plan: PluginPlan, order: StartOrder): Promise<void> {
    return this.#parts.sandboxes.start(plan, order);
  }

  limitSandbox(unit: string, plan: PluginPlan): Promise<void> {
    return this.#parts.sandboxes.limit(unit, plan);
  }

  stopSandbox(unit: string, timeoutMs: number | undefined): Promise<void> {
    return this.#parts.sandboxes.stop(unit, timeoutMs);
  }

  killSandbox(unit: string): Promise<void> {
    return this.#parts.sandboxes.kill(unit);
  }

  planVersion(plugin: string, version: WantedVersion): Promise<PlannedVersion> {
    return requireVersion(plugin, version, this.#parts.paths, this.#parts.systemdVersion);
  }

  verify(order: VerifyOrder): Promise<Failure | undefined> {
    return this.#parts.checks.verify(order);
  }

  weigh(plugin: string, live: SlotName, weight: number): Promise<void> {
    return this.#inTurn(plugin, async () => this.#parts.sockets.weigh(plugin, { live, other: weight }));
  }

  recordUpgrade(plugin: string, order: RecordOrder): Promise<void> {
    return this.#inTurn(plugin, async () => {
      const before = readLiveRecord(plugin);
      const after = recordAfter(before, order, this.wall());
      if (!isDeepStrictEqual(before, after)) writeLiveRecord(plugin, after);
      // One that nothing leads back to any more.
      if (order.kind === 'end-upgrade') this.#removeOld(plugin);
    });
  }

  switchVersion(plugin: string, { slot, version }: Extract<Order, { kind: 'switch' }>): Promise<void> {
    return this.#parts.hostParts.switchVersion(plugin, slot, version);
  }

  async signalSandbox(unit: string, signal: string): Promise<void> {
    this.#parts.sandboxes.get(unit)?.reload(signal as NodeJS.Signals);
  }

  async freezeSandbox(unit: string): Promise<void> {
    this.#parts.sandboxes.freeze(unit);
  }

  async gateSandbox(unit: string, gate: Gate): Promise<void> {
    this.#parts.sandboxes.gate(unit, gate);
  }

  crashed(plugin: string, crash: Crash): void {
    this.#parts.discovery.crashed(plugin, crash);
  }

  openIncident(incident: Incident): void {
    this.#parts.incidents.open(incident);
  }

  incidentStep(id: string, text: string): void {
    this.#parts.incidents.step(id, text);
  }

  incidentOver(id: string, text: string): void {
    this.#parts.incidents.over(id, text);
  }

  run(order: RunOrder): Promise<RanCommand> {
    return this.#parts.commands.run(order);
  }

  forgetRun(order: RunOrder): Promise<void> {
    return this.#parts.commands.forget(order);
  }

  clearSandbox(unit: string): Promise<void> {
    return this.#parts.sandboxes.clear(unit);
  }

  forgetSandbox(unit: string): void {
    this.#parts.sandboxes.forget(unit);
  }

  tell(plugin: string, word: AnchorWord): void {
    this.#parts.tell(plugin, word);
  }

  note(plugin: string, note: Extract<Order, { kind: 'note' }>): void {
    this.#parts.note(plugin, note);
  }

  save(state: PluginState): void {
    this.#parts.save(state);
  }

  refused(plugin: string, order: Order, failure: Failure): void {
    this.#parts.ignored(`'${plugin}': order '${order.kind}' could not be carried out, ignoring`, failure);
  }

  /** A change of version that the host did not live to see the end of: else its version would be needed for ever. */
  #endWhatIsOver(plugin: string): Promise<void> {
    const ended = this.#inTurn(plugin, async () => {
      const record = readLiveRecord(plugin);
      if (record.underWay !== undefined) writeLiveRecord(plugin, endUpgrade(record, record.failed));
    });
    return ended.catch((error: unknown) => {
      this.#parts.ignored(`the record of '${plugin}' cannot be written, ignoring`, asFailure(error));
    });
  }

  #removeOld(plugin: string): void {
    this.#parts.versions.removeOld(plugin).catch((error: unknown) => {
      this.#parts.ignored(`old versions of '${plugin}' cannot be removed, ignoring`, asFailure(error));
    });
  }

  #inTurn(plugin: string, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(plugin) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.#turns.set(plugin, settled);
    void settled.then(() => {
      if (this.#turns.get(plugin) === settled) this.#turns.delete(plugin);
    });
    return mine;
  }
}
