import { existsSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { owned } from '../base/owner.ts';
import { systemBusSockets } from '../systemd/address.ts';
import { Bus } from '../systemd/bus.ts';
import { fromErrorReply } from '../systemd/service-error.ts';
import { FLAG, plain } from '../systemd/wire.ts';
import type {
  AuditReport,
  EventRecord,
  LearnReport,
  LoadReport,
  NodeReport,
  PlanReport,
  PluginStatus,
  PluginSummary,
} from './api.ts';
import type { IncidentReport, IncidentSummary, WhyReport } from './incident-api.ts';
import type { ControlVerb, EventWatcher, Manager, OrderVerb, VersionNews } from './manager.ts';
import { fromRow } from './summary-row.ts';
import type { UpgradeOptions, UpgradeReport } from './upgrade-api.ts';
import { toWire } from './upgrade-options.ts';
import { type ListRow, MANAGER_INTERFACE, MANAGER_NAME, MANAGER_PATH } from './wire-names.ts';

/** How long to try to reach the bus: ample for one that is there, on a host that has no CPU to spare, too. */
const CONNECT_MS = 5000;
/** Questions are answered from memory; longer means that something hangs. */
const QUESTION_MS = 10_000;
/** All processes of all sandboxes of a plugin are read, more than once where something is wrong. */
const AUDIT_MS = 2 * 60_000;
/** A start waits for the plugin to become ready and a stop for it to end; this is longer than the unit's own limits. */
const CONTROL_MS = 35 * 60_000;

const METHODS: Readonly<Record<ControlVerb, string>> = {
  start: 'StartPlugin',
  stop: 'StopPlugin',
  restart: 'RestartPlugin',
};

/** Connects to the supervisor over the system bus. @throws Failure BH402 when there is no bus. */
export async function connectManager(
  clock: Clock,
  environment: NodeJS.ProcessEnv,
  interactive: boolean,
): Promise<Manager> {
  const sockets = systemBusSockets(environment);
  if (!sockets.some(isThere)) throw new Failure('BH402', `there is no system bus at '${sockets.join("', '")}'`);
  const bus = new Bus({
    name: 'system bus',
    sockets,
    kind: 'bus',
    clock,
    onDefect: (thrown) => {
      throw thrown;
    },
  });
  bus.start();
  try {
    await bus.whenUp(CONNECT_MS);
  } catch (thrown) {
    bus.release();
    throw new Failure('BH402', asFailure(thrown).message, { cause: thrown });
  }
  return new ManagerClient(bus, interactive);
}

/** A missing socket file ends it at once; the bus would be tried again and again. Abstract names have no file. */
function isThere(socket: string): boolean {
  return socket.startsWith('\0') || existsSync(socket);
}

/** The supervisor's D-Bus API as an object. Failures are the supervisor's own, with their codes. */
export class ManagerClient implements Manager {
  readonly #bus: Bus;
  readonly #interactive: number;

  /** `interactive`: a person may be asked for a password, by whatever polkit agent the desktop or terminal has. */
  constructor(bus: Bus, interactive: boolean) {
    this.#bus = bus;
    this.#interactive = interactive ? FLAG.allowInteractiveAuthorization : 0;
  }

  release(): void {
    this.#bus.release();
  }

  async version(): Promise<string> {
    return String(await this.#property('Version'));
  }

  async lastEvent(): Promise<number> {
    return Number(await this.#property('LastEvent'));
  }

  async list(): Promise<readonly PluginSummary[]> {
    const [rows] = await this.#ask('ListPlugins', '', []);
    return (rows as ListRow[]).map(fromRow);
  }

  async status(name: string): Promise<PluginStatus> {
    return this.#json<PluginStatus>('GetStatus', 's', [name]);
  }

  async plan(name: string): Promise<PlanReport> {
    return this.#json<PlanReport>('GetPlan', 's', [name]);
  }

  async audit(name: string): Promise<AuditReport> {
    const [text] = await this.#request(MANAGER_INTERFACE, 'AuditPlugin', 's', [name], AUDIT_MS, FLAG.noAutoStart);
    return parseJson<AuditReport>(text, 'AuditPlugin');
  }

  async learn(name: string, seconds: number): Promise<LearnReport> {
    const timeoutMs = seconds * 1000 + CONTROL_MS;
    const body = [name, seconds];
    const [text] = await this.#request(MANAGER_INTERFACE, 'LearnPlugin', 'su', body, timeoutMs, FLAG.noAutoStart);
    return parseJson<LearnReport>(text, 'LearnPlugin');
  }

  async why(name: string): Promise<WhyReport> {
    return this.#json<WhyReport>('ExplainPlugin', 's', [name]);
  }

  async incidents(name: string, limit: number): Promise<readonly IncidentSummary[]> {
    return this.#json<readonly IncidentSummary[]>('ListIncidents', 'su', [name, limit]);
  }

  async incident(id: string): Promise<IncidentReport> {
    return this.#json<IncidentReport>('GetIncident', 's', [id]);
  }

  async order(name: string, verb: OrderVerb): Promise<void> {
    await this.#ask(verb === 'release' ? 'ReleasePlugin' : 'RecyclePlugin', 's', [name]);
  }

  async upgrade(name: string, version: string, options: UpgradeOptions): Promise<string> {
    return String((await this.#ask('UpgradePlugin', 'ssa{ss}', [name, version, toWire(options)]))[0]);
  }

  async rollback(name: string, why: string): Promise<string> {
    return String((await this.#ask('RollbackPlugin', 'ss', [name, why]))[0]);
  }

  async upgradeReport(name: string): Promise<UpgradeReport> {
    return this.#json<UpgradeReport>('GetUpgrade', 's', [name]);
  }

  async noteVersion(name: string, { version, what }: VersionNews): Promise<void> {
    await this.#ask('NoteVersion', 'sss', [name, version, what]);
  }

  async node(): Promise<NodeReport> {
    return this.#json<NodeReport>('GetNode', '', []);
  }

  async load(): Promise<LoadReport> {
    return this.#json<LoadReport>('GetLoad', '', []);
  }

  async events(after: number, limit: number): Promise<readonly EventRecord[]> {
    return this.#json<readonly EventRecord[]>('GetEvents', 'tu', [after, limit]);
  }

  async control(name: string, verb: ControlVerb): Promise<void> {
    await this.#request(MANAGER_INTERFACE, METHODS[verb], 's', [name], CONTROL_MS, 0);
  }

  async watch(watcher: EventWatcher): Promise<Owned> {
    const signals = this.#bus.subscribe(
      { sender: MANAGER_NAME, interface: MANAGER_INTERFACE, member: 'EventAdded', path: MANAGER_PATH },
      () => watcher.added(),
    );
    let here = false;
    const gone = () => {
      if (here) watcher.lost();
      here = false;
    };
    // A new owner is a new supervisor, or the same one seen through a new connection to the bus: either way signals may
    // have been missed. The first answer, while this is being set up, is neither.
    let settled = false;
    const owner = this.#bus.trackOwner(MANAGER_NAME, (name) => {
      if (name === undefined) return gone();
      here = true;
      if (settled) watcher.back();
    });
    const down = this.#bus.onDown.add(gone);
    const watch = owned(() => {
      signals.release();
      owner.release();
      down.release();
    });
    try {
      await Promise.all([signals.ready, owner.ready]);
      here = this.#bus.ownerOf(MANAGER_NAME) !== undefined;
      settled = true;
    } catch (thrown) {
      watch.release();
      throw translate(asFailure(thrown), 'AddMatch');
    }
    return watch;
  }

  #ask(member: string, signature: string, body: readonly unknown[]): Promise<unknown[]> {
    return this.#request(MANAGER_INTERFACE, member, signature, body, QUESTION_MS, FLAG.noAutoStart);
  }

  async #property(name: string): Promise<unknown> {
    const body = [MANAGER_INTERFACE, name];
    const [value] = await this.#request(
      'org.freedesktop.DBus.Properties',
      'Get',
      'ss',
      body,
      QUESTION_MS,
      FLAG.noAutoStart,
    );
    return plain(value);
  }

  async #json<T>(member: string, signature: string, body: readonly unknown[]): Promise<T> {
    return parseJson<T>((await this.#ask(member, signature, body))[0], member);
  }

  /** Questions do not start a supervisor that was stopped: that it is not there is an answer, too. */
  async #request(
    face: string,
    member: string,
    signature: string,
    body: readonly unknown[],
    timeoutMs: number,
    extraFlags: number,
  ): Promise<unknown[]> {
    const flags = this.#interactive | extraFlags;
    const parts = { destination: MANAGER_NAME, path: MANAGER_PATH, interface: face, member, signature, body, flags };
    for (let tries = 1; ; tries++) {
      try {
        return await this.#bus.call(parts, { timeoutMs });
      } catch (thrown) {
        const failure = asFailure(thrown);
        // Nothing was done yet, so that asking again is safe: others, who may mean harm, keep it busy.
        if (failure.dbusName !== LIMITS_EXCEEDED || tries >= BUSY_TRIES) throw translate(failure, member);
        await setTimeout(BUSY_PAUSE_MS);
      }
    }
  }
}

/** Too many calls are under way, in the supervisor or in the bus daemon. */
const LIMITS_EXCEEDED = 'org.freedesktop.DBus.Error.LimitsExceeded';
/** For 10 s in all. */
const BUSY_TRIES = 100;
const BUSY_PAUSE_MS = 100;

function parseJson<T>(text: unknown, member: string): T {
  try {
    return JSON.parse(String(text)) as T;
  } catch (thrown) {
    throw new Failure('BH406', `${member}: the answer is not JSON`, { cause: thrown });
  }
}

/** D-Bus errors that mean: nobody owns the supervisor's name, it could not be activated, or it went away while it was asked. */
const ABSENT = new Set([
  'org.freedesktop.DBus.Error.NoReply',
  'org.freedesktop.DBus.Error.ServiceUnknown',
  'org.freedesktop.DBus.Error.NameHasNoOwner',
  'org.freedesktop.DBus.Error.Spawn.ServiceNotFound',
  'org.freedesktop.DBus.Error.Spawn.ChildExited',
  'org.freedesktop.DBus.Error.TimedOut',
  'org.freedesktop.systemd1.NoSuchUnit',
]);

/** Turns what the bus says about a call of this method into what the supervisor meant. */
export function translate(failure: Failure, member: string): Failure {
  const { dbusName: name, code, message } = failure;
  // The bus itself is away, which the caller cannot tell from a supervisor that is away.
  if (code === 'BH505') return new Failure('BH402', message, { cause: failure });
  if (name === undefined) return failure;
  const meant = fromErrorReply(failure, member);
  if (meant !== failure) return meant;
  if (ABSENT.has(name) || name.startsWith('org.freedesktop.DBus.Error.Spawn.')) {
    return new Failure('BH402', message, { dbusName: name, cause: failure });
  }
  if (name === LIMITS_EXCEEDED) return new Failure('BH507', message, { dbusName: name, cause: failure });
  if (name === 'org.freedesktop.DBus.Error.AccessDenied' || name === 'org.freedesktop.DBus.Error.AuthFailed') {
    return new Failure('BH403', message, { dbusName: name, cause: failure });
  }
  return failure;
}
