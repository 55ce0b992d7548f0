import { loadPlan } from '../act/load-plan.ts';
import type { Supervisor as Plugins } from '../act/supervisor.ts';
import type { SystemdUnits } from '../act/systemd-units.ts';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { formatProblem } from '../base/problem.ts';
import { recentDeaths } from '../decide/backoff.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { inTraffic } from '../decide/plugin-state.ts';
import { statusLine, visibleState } from '../decide/status-line.ts';
import { declaredPlugins } from '../kernel/declaration-files.ts';
import type { Host } from '../kernel/host-facts.ts';
import { readHost } from '../kernel/host-facts.ts';
import { holdsQuota } from '../kernel/room.ts';
import { readSafeMode } from '../kernel/safe-mode.ts';
import { planState } from '../plan/host-mounts.ts';
import { anchorUnitName, pluginSliceName, uidBaseOf } from '../plan/identity.ts';
import type { HostPaths, PlannedListener, PluginPlan } from '../plan/plan.ts';
import { accessText, discoverySocket, rpcDirectory } from '../plan/rpc.ts';
import type { EventRing } from '../record/event-ring.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { Manager } from '../systemd/manager.ts';
import type { Listeners } from '../traffic/listeners.ts';
import type { Vitals } from '../watch/vitals.ts';
import type {
  AuditReport,
  Caller,
  EventKind,
  LearnReport,
  LoadReport,
  NodeReport,
  PlanReport,
  PluginStatus,
  PluginSummary,
  StateStatus,
  Supervisor,
} from './api.ts';
import type { Auditor } from './auditor.ts';
import type { IncidentReport, IncidentSummary, WhyReport } from './incident-api.ts';
import type { IncidentDesk } from './incident-desk.ts';
import type { Learner } from './learner.ts';
import { limitsOfPlugin } from './limit-status.ts';
import type { VersionNews } from './manager.ts';
import type { NodeDesk } from './node-desk.ts';
import { compareWithPlan } from './plan-comparison.ts';
import { planReport } from './plan-report.ts';
import { resilience } from './resilience.ts';
import { sandboxStanding, sandboxStatus } from './sandbox-status.ts';
import type { UpgradeOptions, UpgradeReport } from './upgrade-api.ts';
import type { UpgradeDesk } from './upgrade-desk.ts';

export interface ViewParts {
  readonly clock: Clock;
  readonly plugins: Plugins;
  readonly sandboxes: Sandboxes;
  /** What a sandbox was at, at its last heartbeat. */
  readonly vitals: (unit: string) => Vitals | undefined;
  readonly listeners: Listeners;
  readonly stragglers: (plugin: string) => number;
  /** Clients that follow a plugin's discovery; undefined while it is not served. */
  readonly callers: (plugin: string) => number | undefined;
  readonly events: EventRing<EventKind>;
  readonly manager: Manager;
  readonly units: SystemdUnits;
  readonly systemdVersion: number;
  readonly paths: HostPaths;
  readonly version: string;
  readonly auditor: Auditor;
  readonly learner: Learner;
  readonly desk: IncidentDesk;
  readonly node: NodeDesk;
  readonly upgrades: UpgradeDesk;
  /** For the audit trail: who asked for what, and what for in their words. */
  readonly audit: (plugin: string, verb: string, caller: Caller, why?: string) => void;
  readonly versionChanged: (plugin: string, news: VersionNews, caller: Caller) => void;
}

/** How long a job of systemd is waited for: longer than the unit's own limits (1 h at most, and an hour for the stop). */
const JOB_MS = 3 * 3_600_000;

/** The running supervisor as the control API shows it. Reads; the only thing it does is ask systemd for jobs. */
export class SupervisorView implements Supervisor {
  readonly #parts: ViewParts;

  constructor(parts: ViewParts) {
    this.#parts = parts;
  }

  get version(): string {
    return this.#parts.version;
  }

  node(): NodeReport {
    return this.#parts.node.report();
  }

  async list(): Promise<readonly PluginSummary[]> {
    const running = [...this.#parts.plugins.loops]
      .filter(([, { state }]) => state.phase !== 'off')
      .map(([name]) => name);
    const names = [...new Set([...declaredPlugins(), ...running])].sort();
    const host = await this.#host();
    return Promise.all(names.map((name) => this.#summary(name, host)));
  }

  async status(name: string): Promise<PluginStatus> {
    const { clock, listeners } = this.#parts;
    const state = this.#state(name);
    const host = await this.#host();
    const loaded = await loadPlan(name, host);
    if (state === undefined && loaded.files.length === 0) throw new Failure('BH404', `'${name}'`);
    const plan = state?.plan ?? loaded.plan;
    const budget = plan?.declaration.recovery.budget;
    const now = clock.now();
    const limits = state?.plan === undefined ? undefined : await limitsOfPlugin(this.#parts, state.plan, state);
    const sandboxes =
      state === undefined
        ? []
        : [...state.sandboxes.values()].map((entry) => sandboxStatus(entry, state, now, limits, this.#parts));
    const [last] = await this.#parts.desk.list(name, 1);
    const waits = state !== undefined && state.phase === 'on' && state.notBefore > now;
    return {
      ...(await this.#summary(name, host)),
      declaration: loaded.files,
      description: plan?.declaration.description ?? '',
      anchorUnit: anchorUnitName(name),
      sliceUnit: pluginSliceName(name),
      slot: state?.slot ?? 'a',
      isolation: plan?.declaration.isolation ?? '',
      seccomp: plan?.seccomp ?? '',
      stateDirectory: plan === undefined ? null : this.#stateOf(plan),
      listeners: (plan?.listeners ?? []).map((listener) => ({
        address: addressOf(listener),
        name: listener.listen.name,
        to: listener.listen.to ?? null,
        kept: listeners.standing(listener.key).length > 0,
        slots: listeners.standing(listener.key),
      })),
      stragglers: this.#parts.stragglers(name),
      calls: plan === undefined ? null : callsStatus(plan, this.#parts),
      network: {
        mode: plan?.network.mode ?? 'none',
        egress: (plan?.network.endpoints ?? []).map(({ outside }) => outside),
      },
      limits: limits?.slice ?? [],
      sandboxes,
      restarts: {
        recent: recentDeaths(state?.deaths ?? [], now, budget?.withinMs ?? 0).length,
        budget: budget?.restarts ?? 0,
        withinMs: budget?.withinMs ?? 0,
        total: state?.restartsTotal ?? 0,
      },
      quarantined: state?.quarantined ?? false,
      recoveries: recoveriesOf(state),
      lastFailure: last === undefined ? null : { class: last.class, kind: last.kind, at: last.at, incident: last.id },
      open: (state?.open ?? []).map(({ incident }) => incident.id),
      resilience:
        state === undefined || plan === undefined
          ? null
          : resilience(state.recoveries, plan.declaration.health, sandboxes),
      nextStartMs: waits ? Math.round(state.notBefore - now) : null,
      ...this.#parts.upgrades.report(name),
    };
  }

  async plan(name: string): Promise<PlanReport> {
    const { plan, problems, files } = await loadPlan(name, await this.#host());
    const first = problems[0];
    if (files.length === 0) throw new Failure('BH404', `'${name}'`);
    if (plan === undefined)
      throw new Failure(first?.code ?? 'BH108', first === undefined ? name : formatProblem(first));
    const state = this.#state(name);
    const comparison = {
      ...compareWithPlan(state, plan),
      nextGeneration: state?.nextGeneration ?? 1,
      uidBase: uidBaseOf(0),
      quotaHolds: this.#stateOf(plan)?.quotaHolds ?? undefined,
    };
    return planReport(plan, this.#parts.paths, comparison);
  }

  async auditWalls(name: string): Promise<AuditReport> {
    const { plugins, auditor } = this.#parts;
    const summary = await this.#summary(name, await this.#host());
    this.#requireKnown(name);
    return auditor.audit(name, summary.state, () => plugins.loops.get(name)?.state);
  }

  async learn(name: string, seconds: number, caller: Caller): Promise<LearnReport> {
    this.#requireKnown(name);
    this.#parts.audit(name, 'learn', caller);
    return this.#parts.learner.learn(name, seconds * 1000);
  }

  async why(name: string): Promise<WhyReport> {
    this.#requireKnown(name);
    const { upgrade, lastUpgrade } = this.#parts.upgrades.report(name);
    return this.#parts.desk.why(await this.#summary(name, await this.#host()), { upgrade, lastUpgrade });
  }

  incidents(name: string, limit: number): Promise<readonly IncidentSummary[]> {
    return this.#parts.desk.list(name, limit);
  }

  incident(id: string): IncidentReport {
    return this.#parts.desk.show(id);
  }

  order(name: string, verb: 'release' | 'recycle', caller: Caller): void {
    this.#requireKnown(name);
    this.#parts.audit(name, verb, caller);
    this.#parts.desk[verb](name, `uid ${caller.uid}`);
  }

  noteVersion(name: string, news: VersionNews, caller: Caller): void {
    this.#parts.versionChanged(name, news, caller);
  }

  async upgrade(name: string, version: string, options: UpgradeOptions, caller: Caller): Promise<string> {
    this.#requireKnown(name);
    this.#requireNotSafe(name);
    this.#parts.audit(name, version === '' ? 'upgrade' : `upgrade to '${version}'`, caller, options.why);
    return this.#parts.upgrades.upgrade(name, version, options, caller);
  }

  rollback(name: string, why: string, caller: Caller): string {
    this.#requireKnown(name);
    this.#parts.audit(name, 'rollback', caller, why === '' ? undefined : why);
    return this.#parts.upgrades.rollback(name, why, caller);
  }

  upgradeReport(name: string): UpgradeReport {
    this.#requireKnown(name);
    return this.#parts.upgrades.report(name);
  }

  async load(): Promise<LoadReport> {
    const { plugins, clock, vitals, desk } = this.#parts;
    const now = clock.now();
    const lately = await desk.lately();
    return {
      at: now,
      plugins: [...plugins.loops]
        .filter(([, { state }]) => state.phase !== 'off')
        .map(([name, { state }]) => ({
          name,
          state: visibleState(state),
          incidents: lately.get(name) ?? 0,
          sandboxes: [...state.sandboxes.values()].map((entry) =>
            sandboxStanding(entry, state, now, vitals(entry.unit)),
          ),
        })),
    };
  }

  events(after: number, limit: number): ReturnType<Supervisor['events']> {
    return this.#parts.events.after(after, limit);
  }

  async control(name: string, verb: 'start' | 'stop' | 'restart', caller: Caller): Promise<void> {
    const { manager, audit } = this.#parts;
    this.#requireKnown(name);
    if (verb !== 'stop') this.#requireNotSafe(name);
    audit(name, verb, caller);
    const unit = anchorUnitName(name);
    const options = { jobTimeoutMs: JOB_MS };
    if (verb === 'start') await this.#job(name, manager.startUnit(unit, options));
    else if (verb === 'stop') await this.#job(name, manager.stopUnit(unit, options));
    else await this.#job(name, manager.restartUnit(unit, options));
  }

  onEvent(listener: Parameters<Supervisor['onEvent']>[0]): { release(): void } {
    return this.#parts.events.listen(listener);
  }

  /** A failed job of the anchor says nothing by itself; the plugin's own reason does. */
  async #job(name: string, job: Promise<string>): Promise<void> {
    const result = await job;
    if (result === 'done' || result === 'skipped') return;
    const reason = this.#state(name)?.reason;
    if (reason !== undefined) throw new Failure(reason.code, reason.text);
    throw new Failure('BH506', `job for '${anchorUnitName(name)}': ${result}`);
  }

  #stateOf({ declaration }: PluginPlan): StateStatus | null {
    const state = planState(declaration, this.#parts.paths);
    if (state === undefined) return null;
    const { directory, quota } = state;
    return {
      path: directory,
      quotaBytes: quota === 'infinity' ? null : quota,
      quotaHolds: holdsQuota(directory, quota) ?? null,
    };
  }

  #requireNotSafe(name: string): void {
    const reason = readSafeMode();
    if (reason !== undefined) throw new Failure('BH411', `'${name}': ${reason}`);
  }

  #requireKnown(name: string): void {
    if (this.#state(name) === undefined && !declaredPlugins().includes(name)) throw new Failure('BH404', `'${name}'`);
  }

  /** Undefined for a plugin of which nothing is and nobody wants anything. */
  #state(name: string): PluginState | undefined {
    const state = this.#parts.plugins.loops.get(name)?.state;
    return state === undefined || state.phase === 'off' ? undefined : state;
  }

  /** The host as it is now; one look serves a whole list. */
  #host(): Promise<Host> {
    return readHost(this.#parts.paths, this.#parts.systemdVersion);
  }

  async #summary(name: string, host: Host): Promise<PluginSummary> {
    const state = this.#state(name);
    if (state !== undefined) {
      return {
        name,
        state: visibleState(state),
        version: state.plan?.version ?? null,
        ready: inTraffic(state).length,
        size: state.plan?.size ?? 0,
        line: statusLine(state),
        reason: state.reason ?? null,
      };
    }
    const { plan, problems } = await loadPlan(name, host);
    const problem = problems[0];
    const reason = problem === undefined ? null : { code: problem.code, text: formatProblem(problem) };
    return {
      name,
      state: reason === null ? 'stopped' : 'invalid',
      version: plan?.version ?? null,
      ready: 0,
      size: plan?.size ?? 0,
      line: reason === null ? 'stopped' : `invalid: ${reason.text}`,
      reason,
    };
  }
}

function recoveriesOf(state: PluginState | undefined): PluginStatus['recoveries'] {
  const { over, alone, aloneMs } = state?.recoveries ?? { over: 0, alone: 0, aloneMs: 0 };
  return { over, alone, meanMs: alone === 0 ? null : Math.round(aloneMs / alone) };
}

function callsStatus(
  { plugin, declaration: { rpc } }: PluginPlan,
  { paths, callers }: Pick<ViewParts, 'paths' | 'callers'>,
): PluginStatus['calls'] {
  if (rpc === undefined) return null;
  const [discovery, directory] = [discoverySocket(plugin, paths), rpcDirectory(plugin, paths)];
  return { discovery, directory, access: accessText(rpc), clients: callers(plugin) ?? null };
}

function addressOf({ listen }: PlannedListener): string {
  if (listen.kind === 'unix') return listen.path;
  return listen.host.includes(':') ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
}
