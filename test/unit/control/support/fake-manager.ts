import type { Owned } from '../../../../src/base/clock.ts';
import { Failure } from '../../../../src/base/failure.ts';
import type {
  AuditReport,
  EventRecord,
  LearnReport,
  LoadReport,
  NodeReport,
  PlanReport,
  PluginStatus,
  PluginSummary,
} from '../../../../src/control/api.ts';
import type { IncidentReport, IncidentSummary, WhyReport } from '../../../../src/control/incident-api.ts';
import type { ControlVerb, EventWatcher, Manager, OrderVerb, VersionNews } from '../../../../src/control/manager.ts';
import type { UpgradeOptions, UpgradeReport } from '../../../../src/control/upgrade-api.ts';

/** A supervisor in memory, seen through the client's interface. */
export class FakeManager implements Manager {
  statuses: PluginStatus[] = [];
  ring: EventRecord[] = [];
  audited: AuditReport | undefined;
  learned: LearnReport | undefined;
  explained: WhyReport | undefined;
  failed: IncidentSummary[] = [];
  loads: LoadReport[] = [];
  bundle: IncidentReport | undefined;
  nodeSeen: NodeReport | undefined;
  /** Told one after the other, the last one again and again; an error is thrown. */
  upgrades: (UpgradeReport | Failure)[] = [];
  readonly controlled: string[] = [];
  watchers = new Set<EventWatcher>();
  /** What happens while a job runs. */
  onControl: (name: string, verb: ControlVerb) => Promise<void> = async () => {};
  released = false;

  async version() {
    return '0.1.0';
  }

  async list(): Promise<readonly PluginSummary[]> {
    return this.statuses;
  }

  async status(name: string): Promise<PluginStatus> {
    const found = this.statuses.find((status) => status.name === name);
    if (found === undefined) throw new Failure('BH404', `'${name}'`);
    return found;
  }

  async plan(name: string): Promise<PlanReport> {
    await this.status(name);
    return { plugin: name, version: 'v1', digest: 'd', sections: [], differences: [], reload: null, compared: true };
  }

  async audit(name: string): Promise<AuditReport> {
    await this.status(name);
    if (this.audited === undefined) throw new Failure('BH406', 'nothing to tell');
    return this.audited;
  }

  async learn(name: string, seconds: number): Promise<LearnReport> {
    await this.status(name);
    this.controlled.push(`learn ${name} ${seconds}`);
    if (this.learned === undefined) throw new Failure('BH312', `'${name}' does not run`);
    return this.learned;
  }

  async why(name: string): Promise<WhyReport> {
    await this.status(name);
    if (this.explained === undefined) throw new Failure('BH406', 'nothing to tell');
    return this.explained;
  }

  async incidents(name: string, limit: number): Promise<readonly IncidentSummary[]> {
    return this.failed.filter(({ plugin }) => name === '' || plugin === name).slice(0, limit);
  }

  async incident(id: string): Promise<IncidentReport> {
    if (this.bundle?.incident.id !== id) throw new Failure('BH408', `'${id}'`);
    return this.bundle;
  }

  async node(): Promise<NodeReport> {
    if (this.nodeSeen === undefined) throw new Failure('BH406', 'nothing to tell');
    return this.nodeSeen;
  }

  async load(): Promise<LoadReport> {
    return this.loads.shift() ?? { at: 0, plugins: [] };
  }

  async order(name: string, verb: OrderVerb): Promise<void> {
    await this.status(name);
    this.controlled.push(`${verb} ${name}`);
  }

  async noteVersion(name: string, { version, what }: VersionNews): Promise<void> {
    this.controlled.push(`${what} ${name} ${version}`);
  }

  async upgrade(name: string, version: string, options: UpgradeOptions): Promise<string> {
    await this.status(name);
    this.controlled.push(`upgrade ${name} ${version} ${JSON.stringify(options)}`);
    return `${name}-u1`;
  }

  async rollback(name: string, why: string): Promise<string> {
    await this.status(name);
    this.controlled.push(`rollback ${name} ${why}`);
    return `${name}-u1`;
  }

  async upgradeReport(name: string): Promise<UpgradeReport> {
    await this.status(name);
    const next = this.upgrades.length > 1 ? this.upgrades.shift() : this.upgrades[0];
    if (next instanceof Failure) throw next;
    return next ?? NO_UPGRADE;
  }

  async events(after: number, limit: number) {
    return this.ring.filter(({ number }) => number > after).slice(0, limit);
  }

  async lastEvent() {
    return this.ring.at(-1)?.number ?? 0;
  }

  async control(name: string, verb: ControlVerb) {
    await this.status(name);
    this.controlled.push(`${verb} ${name}`);
    await this.onControl(name, verb);
  }

  async watch(watcher: EventWatcher): Promise<Owned> {
    this.watchers.add(watcher);
    return { release: () => this.watchers.delete(watcher) };
  }

  happen(...events: EventRecord[]): void {
    this.ring.push(...events);
    for (const watcher of this.watchers) watcher.added();
  }

  release() {
    this.released = true;
  }
}

export const NO_UPGRADE: UpgradeReport = {
  upgrade: null,
  lastUpgrade: null,
  previousVersion: null,
  failedVersions: [],
};

export function event(number: number, fields: Partial<EventRecord> = {}): EventRecord {
  return {
    number,
    at: 1000 + number,
    plugin: 'hello',
    unit: null,
    kind: 'note',
    code: null,
    class: null,
    incident: null,
    text: `event ${number}`,
    ...fields,
  };
}

export function status(name: string, fields: Partial<PluginStatus> = {}): PluginStatus {
  return {
    name,
    state: 'running',
    version: 'v1',
    ready: 2,
    size: 2,
    line: '2/2 ready, slot a, v1',
    reason: null,
    declaration: [`/etc/bulkhead/plugins/${name}.yaml`],
    description: 'says hello',
    anchorUnit: `plugin@${name}.service`,
    sliceUnit: `plugin-${name}.slice`,
    slot: 'a',
    isolation: 'nspawn',
    stateDirectory: null,
    seccomp: 'python',
    network: { mode: 'none', egress: [] },
    listeners: [
      {
        address: '127.0.0.1:8081',
        name: 'tcp-8081',
        to: null,
        kept: true,
        slots: [{ slot: 'a', weight: 100, queued: 0 }],
      },
    ],
    stragglers: 0,
    calls: null,
    sandboxes: [
      {
        unit: `plugin-${name}-a-g1.service`,
        isolation: 'nspawn',
        machine: `${name}-a-g1`,
        slot: 'a',
        generation: 1,
        version: 'v1',
        state: 'ready',
        payloadPid: 4711,
        initPid: 4710,
        cgroup: null,
        uidBase: 1073741824,
        uidCount: 65536,
        learning: false,
        standby: false,
        seat: 0,
        gate: null,
        score: 100,
        illness: null,
        seccomp: { profile: 'python', mode: 2, filters: 1 },
        memoryBytes: 8 * 1024 ** 2,
        tasks: 3,
        readySinceMs: 65_000,
        statusText: null,
        probes: [],
        limits: [],
        limitsReached: [],
        vitals: null,
      },
    ],
    limits: [],
    restarts: { recent: 0, budget: 5, withinMs: 60_000, total: 0 },
    quarantined: false,
    recoveries: { over: 0, alone: 0, meanMs: null },
    lastFailure: null,
    open: [],
    resilience: null,
    nextStartMs: null,
    ...NO_UPGRADE,
    ...fields,
  };
}
