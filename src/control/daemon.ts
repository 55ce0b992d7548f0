import { AnchorServer } from '../act/anchor-server.ts';
import { DaemonHands } from '../act/daemon-hands.ts';
import type { LiveConfiguration } from '../act/live-configuration.ts';
import { RunCommands } from '../act/run-command.ts';
import { Supervisor } from '../act/supervisor.ts';
import { SystemdUnits } from '../act/systemd-units.ts';
import { UpgradeChecks } from '../act/upgrade-checks.ts';
import { VersionChecks } from '../act/version-checks.ts';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure } from '../base/failure.ts';
import { Owner } from '../base/owner.ts';
import type { Observation } from '../decide/observation.ts';
import { type RememberedState, remember } from '../decide/restore.ts';
import { isServed, otherSlot, planOf, plansInForce } from '../decide/sides.ts';
import { groupId } from '../kernel/identities.ts';
import { memoryAvailable } from '../kernel/memory.ts';
import { parseAnchorUnit, parseSandboxUnit } from '../plan/identity.ts';
import type { HostPaths, PluginPlan } from '../plan/plan.ts';
import type { Chronicle } from '../record/chronicle.ts';
import type { EventRing } from '../record/event-ring.ts';
import { IncidentKeeper } from '../record/incident-keeper.ts';
import { INCIDENT_DIRECTORY, Incidents } from '../record/incidents.ts';
import { PluginStates } from '../record/plugin-states.ts';
import { FilterCache, filterPaths } from '../sandbox/filter-cache.ts';
import { serveLaunchers } from '../sandbox/launch-server.ts';
import { REPORT_PREFIX } from '../sandbox/report-pipes.ts';
import { SandboxParts } from '../sandbox/sandbox-parts.ts';
import type { SandboxRecord } from '../sandbox/sandbox-record.ts';
import { SandboxRecords } from '../sandbox/sandbox-record.ts';
import { Sandboxes } from '../sandbox/sandboxes.ts';
import { Spawner } from '../sandbox/spawner-client.ts';
import { UidRanges } from '../sandbox/uid-ranges.ts';
import { systemBusSockets } from '../systemd/address.ts';
import { Bus } from '../systemd/bus.ts';
import type { FdStore } from '../systemd/fd-store.ts';
import { watchJournalDrops } from '../systemd/journal-drops.ts';
import { tailOf } from '../systemd/journal-tail.ts';
import type { Manager } from '../systemd/manager.ts';
import { SERVICE_MAX_INCOMING_BYTES, Service } from '../systemd/service.ts';
import { UnitEvents } from '../systemd/unit-events.ts';
import { Discovery } from '../traffic/discovery.ts';
import { heldListener } from '../traffic/held-listener.ts';
import { LISTENER_PREFIX, Listeners } from '../traffic/listeners.ts';
import { Traffic } from '../traffic/traffic.ts';
import { watchAnchorDropIns } from '../watch/anchor-drop-ins.ts';
import type { EventKind } from './api.ts';
import { Auditor } from './auditor.ts';
import { IncidentDesk } from './incident-desk.ts';
import { sceneOf } from './incident-scene.ts';
import { byPrefix, closeStrayReports } from './inherited.ts';
import { Learner } from './learner.ts';
import { serveManager } from './manager-interface.ts';
import { NodeDesk } from './node-desk.ts';
import { makeRuntimeDirectories } from './runtime-directories.ts';
import { Sampling } from './sampling.ts';
import { SupervisorView } from './supervisor-view.ts';
import { Timetable } from './timetable.ts';
import { route } from './unit-route.ts';
import { UpgradeDesk } from './upgrade-desk.ts';
import { VERSION } from './version.ts';
import { MANAGER_NAME } from './wire-names.ts';

/** Group whose members may talk to us as anchors; made by the package. */
const ANCHOR_GROUP = 'bulkhead';

export interface DaemonParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  /** Not started yet. */
  readonly manager: Manager;
  readonly fdStore: FdStore;
  /** Descriptors that came back from the store, by name. */
  readonly inherited: ReadonlyMap<string, readonly number[]>;
  readonly chronicle: Chronicle<EventKind>;
  readonly events: EventRing<EventKind>;
  readonly environment: NodeJS.ProcessEnv;
  /** bulkhead's own, read already. */
  readonly configuration: LiveConfiguration;
}

/** How long (ms) the start waits for our name on the bus. Where that is away, plugins are looked after all the same. */
const MOST_NAME_WAIT_MS = 1000;

/** Wires the parts of the supervisor, takes over what runs, and serves. Releasing it leaves all plugins running. */
export async function startDaemon(parts: DaemonParts): Promise<Owned> {
  const { clock, paths, manager, fdStore, chronicle, events, configuration } = parts;
  const owner = new Owner('daemon');
  const onDefect = (thrown: unknown): void => chronicle.defect(thrown);
  makeRuntimeDirectories(paths);
  const anchorGroup = await groupId(ANCHOR_GROUP);
  owner.own(manager);
  manager.start();
  const systemdVersion = await manager.version();

  const store = {
    store: (name: string, fd: number) => fdStore.store(name, [fd]),
    remove: (name: string) => fdStore.remove(name),
  };
  const states = new PluginStates(`${paths.run}/plugin`);
  const records = new SandboxRecords(`${paths.run}/sandbox`);
  const listeners = new Listeners(store, byPrefix(parts.inherited, LISTENER_PREFIX), (plugin, ...what) => {
    const units = [...supervisor.loop(plugin).state.sandboxes.keys()];
    return heldListener(
      units.map((unit) => sandboxes.get(unit)?.record).filter((record) => record !== undefined),
      ...what,
    );
  });
  const units = new SystemdUnits(manager);
  const observe = ({ plugin }: Pick<SandboxRecord, 'plugin'>, seen: Observation): void =>
    supervisor.loop(plugin).observe(seen);
  const filters = new FilterCache(filterPaths(paths));
  const hostParts = new SandboxParts(paths, units);
  const sandboxes = new Sandboxes({
    clock,
    paths,
    units,
    records,
    uidRanges: new UidRanges(),
    filters,
    spawner: new Spawner(`${paths.run}/spawn.sock`, clock),
    hostParts,
    descriptorStore: store,
    copyListener: (key) => listeners.copy(key),
    wakeListener: (key) => listeners.wake(key),
    events: {
      ready: (record) => observe(record, { kind: 'became-ready', unit: record.unit }),
      startFailed: (record, { code, message: text }) => {
        sampling.noteEnd(record);
        observe(record, { kind: 'start-failed', unit: record.unit, reason: { code, text } });
      },
      exited: (record, exit) => {
        // What it died of is to be known first.
        sampling.lookAtEnd(record);
        observe(record, { kind: 'exited', unit: record.unit, exit });
      },
      probed: (record, { probe, passes, text }) =>
        observeUnit(record.unit, { kind: 'probed', unit: record.unit, probe, passes, text }),
      metrics: (record, metrics) => sampling.told(record.unit, metrics),
      stopSeen: (record) => observe(record, { kind: 'stop-seen', unit: record.unit }),
      gate: (record, gate) => observe(record, { kind: 'gate', unit: record.unit, gate }),
      unkillable: (record) => observe(record, { kind: 'unkillable', unit: record.unit }),
      cleared: (sandbox) => observe(sandbox, { kind: 'cleared', unit: sandbox.unit }),
    },
    ignored: (text, failure) => chronicle.ignored(text, failure),
  });
  owner.own(sandboxes);
  const traffic = owner.own(
    new Traffic(listeners, {
      clock,
      lib: paths.lib,
      units,
      isServed: (plugin, slot) => isServed(supervisor.loop(plugin).state, slot),
      ignored: (text, failure) => chronicle.ignored(text, failure),
    }),
  );
  const incidents = owner.own(
    new Incidents({
      directory: INCIDENT_DIRECTORY,
      clock,
      wall: () => Date.now(),
      tailOf,
      retention: () => configuration.current.incidents,
      ignored: (text, failure) => chronicle.ignored(text, failure),
    }),
  );
  const discovery = owner.own(
    new Discovery({
      clock,
      paths,
      state: (plugin) => supervisor.loop(plugin).state,
      ignored: (text, failure) => chronicle.ignored(text, failure),
    }),
  );
  const commands = new RunCommands(manager);
  const versions = new VersionChecks({ manager, paths, configuration: () => configuration.current });
  const hands = new DaemonHands({
    clock,
    paths,
    systemdVersion,
    units,
    sandboxes,
    hostParts,
    sockets: traffic,
    discovery,
    incidents: new IncidentKeeper(incidents, chronicle, (unit) => sceneOf(unit, sandboxes, supervisor, paths)),
    commands,
    checks: new UpgradeChecks({
      commands,
      verifyVersion: (plugin, version) => versions.require({ plugin, version }),
      states: () => [...supervisor.loops.values()].map(({ state }) => state),
      memoryUsed: (unit) => sampling.vitals(unit)?.residentBytes ?? 0,
      memoryAvailable,
    }),
    versions,
    unkillableRoom: () => supervisor.unkillableRoom(),
    tell: (plugin, word) => anchors.tell(plugin, word),
    note: (plugin, { what, ...note }) => chronicle.add({ ...note, kind: what, plugin }),
    save: (state) => {
      try {
        states.save(state.plugin, remember(state));
        timetable.follow(state);
        discovery.follow(state);
      } catch (error) {
        // What was decided must not be done without being durable. The next supervisor decides again.
        chronicle.defect(error);
        process.exit(1);
      }
    },
    ignored: (text, failure) => chronicle.ignored(text, failure),
  });
  const timetable = owner.own(
    new Timetable({
      configuration,
      observe: (plugin, seen) => supervisor.loops.get(plugin)?.observe(seen),
      cleanUpIncidents: () => void incidents.cleanUp(),
    }),
  );
  const observeUnit = (unit: string, seen: Observation): void => {
    sampling.seen(seen);
    const plugin = parseSandboxUnit(unit)?.plugin;
    if (plugin !== undefined) supervisor.loops.get(plugin)?.observe(seen);
  };
  owner.own(watchJournalDrops(clock, (unit, count) => observeUnit(unit, { kind: 'messages-dropped', unit, count })));
  const supervisor = new Supervisor({
    clock,
    units,
    sandboxes,
    hands,
    mostUnkillable: () => configuration.current.unkillable.most,
    note: (...odd) => chronicle.ignored(...odd),
  });
  owner.own(supervisor);
  const sampling = owner.own(
    new Sampling({ clock, paths, supervisor, sandboxes, listeners, observe: observeUnit, chronicle }),
  );
  const guard = (work: Promise<void>): void => {
    work.catch((error: unknown) => chronicle.ignored('systemd could not be asked, a resync follows', asFailure(error)));
  };
  const anchors = owner.own(
    new AnchorServer({
      invocation: (plugin) => supervisor.loops.get(plugin)?.state.invocation,
      hello: (plugin, invocation) => guard(supervisor.anchorSaid(plugin, invocation)),
      stop: (plugin) => supervisor.loop(plugin).observe({ kind: 'unwanted' }),
      reload: (plugin) => supervisor.loop(plugin).observe({ kind: 'reload' }),
      refused: (why) => chronicle.ignored('a connection of an anchor was refused', why),
    }),
  );

  const isOurs = (unit: string): boolean => parseSandboxUnit(unit) !== undefined || parseAnchorUnit(unit) !== undefined;
  const unitEvents = owner.own(new UnitEvents(manager, isOurs, onDefect));
  unitEvents.listen((event) => route(event, supervisor, sandboxes, guard));
  const damaged = (file: string, why: string): void => chronicle.ignored(`'${file}': ${why}; removed`);
  const remembered = states.all(damaged);
  const plansOf = (state: RememberedState): PluginPlan[] =>
    Object.values(plansInForce(state)).filter((plan) => plan !== undefined);
  const wantedKeys = [...remembered.values()]
    .flatMap(plansOf)
    .flatMap(({ listeners: all }) => all.map(({ key }) => key));
  for (const key of listeners.closeInheritedBut(new Set(wantedKeys)))
    chronicle.ignored(`listener '${key}' is of no plugin; closed`);
  const sandboxRecords = records.all(damaged);
  const inForce = [...remembered].filter(([, { phase }]) => phase !== 'off');
  for (const [plugin, state] of inForce) hostParts.inForce(plugin, plansInForce(state));
  discovery.sweep(new Set(inForce.map(([plugin]) => plugin)));
  const reports = byPrefix(parts.inherited, REPORT_PREFIX);
  closeStrayReports(reports, sandboxRecords, store);
  await supervisor.takeOver({
    states: remembered,
    records: sandboxRecords,
    reports,
  });
  for (const { state } of supervisor.loops.values()) timetable.follow(state);
  incidents.begin(
    (id, plugin) => supervisor.loops.get(plugin)?.state.open.some(({ incident }) => incident.id === id) ?? false,
  );
  guard(hostParts.sweep(new Set(sandboxRecords.map(({ unit }) => unit))));
  await sampling.begin();
  // What changed while the lists were read.
  await supervisor.resync();
  anchors.listen(`${paths.run}/anchor.sock`, anchorGroup);
  const applyLimits = (plugin: string): void => {
    const { state } = supervisor.loop(plugin);
    if (state.phase === 'on' && state.plan !== undefined)
      guard(hands.applyLimits(state.plan, planOf(state, otherSlot(state.slot))));
  };
  manager.onResync.add(({ reason }) => {
    guard(supervisor.resync());
    // After 'systemctl edit'.
    if (reason === 'reloaded') for (const plugin of supervisor.loops.keys()) applyLimits(plugin);
  });
  owner.own(watchAnchorDropIns(clock, () => supervisor.wanted(), applyLimits));
  owner.own(
    serveLaunchers(
      `${paths.run}/launch.sock`,
      async (unit) => traffic.descriptorsFor(unit) ?? sandboxes.descriptorsFor(unit),
      (why) => chronicle.ignored('a launcher was refused', why),
    ),
  );

  const bus = new Bus({
    name: 'control bus',
    sockets: systemBusSockets(parts.environment),
    kind: 'bus',
    clock,
    onDefect,
    maxIncomingBytes: SERVICE_MAX_INCOMING_BYTES,
  });
  const service = owner.own(
    new Service({
      bus,
      name: MANAGER_NAME,
      clock,
      onDefect,
      // The bus lets one user have 256 connections: all of them together leave room for others.
      maxCallsPerSender: 4,
      maxCalls: 1280,
    }),
  );
  const node = owner.own(
    new NodeDesk({
      clock,
      paths,
      manager,
      configuration,
      plugins: supervisor,
      note: (text) => chronicle.add({ kind: 'note', plugin: undefined, unit: undefined, code: undefined, text }),
      ignored: (text, failure) => chronicle.ignored(text, failure),
    }),
  );
  const view = new SupervisorView({
    clock,
    plugins: supervisor,
    sandboxes,
    vitals: (unit) => sampling.vitals(unit),
    listeners,
    stragglers: (plugin) => traffic.stragglers(plugin),
    callers: (plugin) => discovery.clients(plugin),
    events,
    manager,
    units,
    systemdVersion,
    paths,
    version: VERSION,
    auditor: new Auditor({ clock, paths, units, manager, sandboxes, listeners, filters }),
    learner: new Learner({ clock, plugins: supervisor, sandboxes, filters }),
    node,
    desk: new IncidentDesk({ clock, wall: () => Date.now(), plugins: supervisor, incidents }),
    upgrades: new UpgradeDesk({ clock, plugins: supervisor }),
    audit: (plugin, verb, { uid, pid }, why) =>
      chronicle.add({
        kind: 'note',
        plugin,
        unit: undefined,
        code: undefined,
        text: `${verb} asked for by uid ${uid}, pid ${pid}${why === undefined ? '' : `: ${why}`}`,
      }),
    versionChanged: (plugin, { version, what }, { uid, pid }) =>
      chronicle.add({
        kind: 'version',
        plugin,
        unit: undefined,
        code: undefined,
        text: `version ${version} was ${what} by uid ${uid}, pid ${pid}`,
      }),
  });
  owner.own(serveManager(service, view, clock));
  service.start();
  // Whoever restarted the supervisor asks it next: it is not to be called ready before it can be asked.
  await service.untilNamed(MOST_NAME_WAIT_MS);
  chronicle.add({
    kind: 'supervisor-started',
    plugin: undefined,
    unit: undefined,
    code: undefined,
    text: `bulkheadd ${VERSION}`,
  });
  return owner;
}
