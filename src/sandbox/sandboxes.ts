import { closeSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { Isolation } from '../declare/declaration.ts';
import { freezeCgroup, isFrozen } from '../kernel/cgroup.ts';
import { firstGate } from '../plan/gate.ts';
import { parseSandboxUnit } from '../plan/identity.ts';
import { hostsText } from '../plan/network.ts';
import type { Gate, HostPaths, PluginPlan, StartOrder } from '../plan/plan.ts';
import { planSandbox } from '../plan/plan-sandbox.ts';
import { liveProperties } from '../unit/live-properties.ts';
import { openCallSocket } from './call-sockets.ts';
import type { FilterCache } from './filter-cache.ts';
import { newRecord } from './new-record.ts';
import { NspawnStarter } from './nspawn-starter.ts';
import type { Report } from './report.ts';
import { type DescriptorStore, ReportPipes } from './report-pipes.ts';
import { Sandbox } from './sandbox.ts';
import type { SandboxEvents } from './sandbox-events.ts';
import type { SandboxParts } from './sandbox-parts.ts';
import type { SandboxRecord, SandboxRecords } from './sandbox-record.ts';
import { ScopeStarter } from './scope-starter.ts';
import type { Spawner } from './spawner-client.ts';
import { startFailure } from './start-failure.ts';
import type { Starter, UnitControl } from './starter.ts';
import { Turns } from './turns.ts';
import type { UidRanges } from './uid-ranges.ts';

export interface SandboxesParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly units: UnitControl;
  readonly records: SandboxRecords;
  readonly uidRanges: UidRanges;
  readonly filters: FilterCache;
  readonly hostParts: SandboxParts;
  readonly spawner: Spawner;
  readonly descriptorStore: DescriptorStore;
  /** A copy of a listening socket, to be given away. */
  readonly copyListener: (key: string) => number;
  /** Whoever waits for connections of the socket looks again. */
  readonly wakeListener: (key: string) => void;
  readonly events: SandboxEvents;
  /** What went wrong in clearing up, and is ignored. */
  readonly ignored: (text: string, failure: Failure) => void;
}

const SIGKILL = 9;
/** Starts under way at once, until their programs run. systemd works them off one by one; more would only lengthen its queue. */
const STARTS_AT_ONCE = 8;

/** Starts, stops, adopts and forgets sandboxes. */
export class Sandboxes {
  readonly #parts: SandboxesParts;
  readonly #sandboxes = new Map<string, Sandbox>();
  readonly #pipes: ReportPipes;
  readonly #starters: Readonly<Record<Isolation, Starter>>;
  /** Units that this supervisor is about to make: systemd may not know them yet. */
  readonly #inStart = new Set<string>();
  /** Those whose stop was ordered while they started. */
  readonly #stoppedInStart = new Set<string>();
  /** What is told when the start job of the unit has ended; there while there is a job. */
  readonly #heldBack = new Map<string, (() => void)[]>();
  readonly #starts: Turns;

  constructor(parts: SandboxesParts) {
    this.#parts = parts;
    this.#starts = new Turns(STARTS_AT_ONCE, parts.clock);
    this.#pipes = new ReportPipes(parts.descriptorStore);
    this.#starters = {
      nspawn: new NspawnStarter(parts.units),
      scope: new ScopeStarter(parts.units, parts.spawner, (unit) => this.descriptorsFor(unit)),
    };
  }

  get(unit: string): Sandbox | undefined {
    return this.#sandboxes.get(unit);
  }

  /** Sandboxes of this plan are about to be started. */
  announce(plan: PluginPlan): void {
    this.#starters[plan.declaration.isolation].announce();
  }

  /** The record is on disk before anything else happens, so that a supervisor killed at any line finds its sandbox. */
  async start(plan: PluginPlan, order: StartOrder): Promise<void> {
    const { paths, uidRanges, records, filters, hostParts } = this.#parts;
    this.announce(plan);
    const uidBase = uidRanges.take();
    const { slot, generation, learning, standby } = order;
    const gate = learning ? undefined : firstGate(plan.declaration, standby);
    const sandboxPlan = planSandbox(plan, { slot, generation, uidBase, learning, gate }, paths);
    const record = newRecord(plan, sandboxPlan, learning, gate);
    try {
      records.write(record);
    } catch (error) {
      // Without a record there is no sandbox that could give its range back.
      uidRanges.giveBack(uidBase);
      throw error;
    }
    const sandbox = this.#add(record);
    hostParts.recorded(record.unit, record.hostMounts ?? []);
    this.#inStart.add(record.unit);
    await this.#starts.take(record.unit);
    try {
      await filters.prepare(sandboxPlan.seccomp);
      await hostParts.prepare(sandboxPlan);
      const hosts = hostsText(plan.network);
      if (hosts !== undefined) records.writeHosts(record.unit, hosts);
      // Somebody may have stopped it while it waited: then there is nothing to start.
      if (this.#sandboxes.get(record.unit) !== sandbox || this.#stoppedInStart.has(record.unit)) return;
      this.#openPipe(sandbox);
      sandbox.limitStart();
      sandbox.jobPending = true;
      this.#heldBack.set(record.unit, []);
      const ready = await this.#starters[sandboxPlan.isolation].start(sandboxPlan, () => !sandbox.stopAsked);
      sandbox.watchCgroup();
      if (ready) this.#nowReady(sandbox);
    } catch (error) {
      sandbox.jobPending = false;
      await sandbox.lastWords();
      if (this.#sandboxes.get(record.unit) !== sandbox) return;
      this.#parts.events.startFailed(record, startFailure(sandbox, asFailure(error)));
    } finally {
      sandbox.jobPending = false;
      this.#inStart.delete(record.unit);
      this.#starts.giveBack(record.unit);
      for (const tell of this.#takeHeldBack(record.unit)) tell();
      await this.#afterAll(sandbox);
    }
  }

  /** What was ordered while it started, and came too early for a unit or files that were not there yet. */
  async #afterAll(sandbox: Sandbox): Promise<void> {
    const { unit } = sandbox.record;
    if (this.#stoppedInStart.delete(unit)) await this.stop(unit);
    if (this.#sandboxes.get(unit) !== sandbox) this.#forgetOnHost(unit);
  }

  #forgetOnHost(unit: string): void {
    const { hostParts, ignored } = this.#parts;
    hostParts.forget(unit).catch((error: unknown) => {
      ignored(`'${unit}' left something on the host, ignoring`, asFailure(error));
    });
  }

  /** Takes over a sandbox of an earlier supervisor. @param readEnd its report pipe, if the fd store kept it. */
  adopt(record: SandboxRecord, readEnd: number | undefined, life: 'starting' | 'ready' | 'stopping'): void {
    this.#parts.uidRanges.occupy(record.uidBase);
    this.#parts.hostParts.adopted(record);
    const sandbox = this.#add(record);
    if (life === 'starting') sandbox.limitStart();
    if (life === 'stopping') sandbox.limitStop();
    if (readEnd !== undefined) sandbox.listen(readEnd);
    // While it starts, there may be no group yet; init's report or the unit's state comes when there is.
    if (life !== 'starting') sandbox.watchCgroup();
    // It may have been written down and not told any more.
    sandbox.tellGate();
    sandbox.askProbes();
  }

  /**
   * What is frozen could not end by itself, and is not let run again for that: it is killed.
   * @param timeoutMs when the payload is killed; without it as declared, or as it was said before
   */
  async stop(unit: string, timeoutMs?: number): Promise<void> {
    const sandbox = this.#sandboxes.get(unit);
    if (timeoutMs !== undefined && sandbox !== undefined) this.#parts.records.write(sandbox.noteEnd(timeoutMs));
    sandbox?.limitStop(timeoutMs);
    if (sandbox !== undefined && isFrozen(sandbox.record.payloadCgroup)) sandbox.kill();
    if (this.#inStart.has(unit)) this.#stoppedInStart.add(unit);
    try {
      await this.#parts.units.stop(unit);
    } catch (error) {
      this.#stopRefused(unit, asFailure(error));
    }
  }

  /** Ends the payload without asking it. */
  async kill(unit: string): Promise<void> {
    this.#known(unit).kill();
    // There may be nothing to be killed yet.
    if (this.#inStart.has(unit)) await this.stop(unit);
  }

  /** Keeps all of the payload where it is, for whoever wants to look at it; it lasts until the sandbox is stopped. */
  freeze(unit: string): void {
    const { payloadCgroup, listeners } = this.#known(unit).record;
    freezeCgroup(payloadCgroup);
    // A connection of which it was told already is for others.
    listeners.forEach(this.#parts.wakeListener);
  }

  /**
   * Lets connections in, or keeps them out; init's answer is told. The record comes first, so that the next supervisor
   * tells init what this one did not come to. Throws BH302 for a sandbox that has no gate.
   */
  gate(unit: string, gate: Gate): void {
    const sandbox = this.#known(unit);
    if (sandbox.record.gate === undefined) throw new Failure('BH302', `'${unit}' has no gate`);
    if (sandbox.record.gate !== gate) this.#parts.records.write(sandbox.noteGate(gate));
    sandbox.tellGate();
  }

  /**
   * Gives a living sandbox the plan's limits. Its record says so only afterwards: a supervisor that is killed in between
   * leaves one that the next finds to differ from the plan in force.
   */
  async limit(unit: string, plan: PluginPlan): Promise<void> {
    const sandbox = this.#known(unit);
    await this.#parts.units.setLimits(unit, liveProperties(plan));
    if (this.#sandboxes.get(unit) === sandbox) this.#parts.records.write(sandbox.noteLimits(plan.limitsDigest));
  }

  /** The payload is dead: makes sure that the rest goes, too. */
  async clear(unit: string): Promise<void> {
    this.#sandboxes.get(unit)?.limitRest();
    await this.stop(unit);
  }

  forget(unit: string): void {
    const sandbox = this.#sandboxes.get(unit);
    if (sandbox === undefined) return;
    this.#sandboxes.delete(unit);
    sandbox.release();
    this.#pipes.close(unit);
    this.#parts.uidRanges.giveBack(sandbox.record.uidBase);
    this.#forgetOnHost(unit);
    this.#parts.records.remove(unit);
  }

  /** systemd has no such unit any more, or says that it is inactive or failed. */
  unitGone(unit: string): void {
    const sandbox = this.#sandboxes.get(unit);
    if (sandbox !== undefined) return sandbox.unitGone();
    const plugin = parseSandboxUnit(unit)?.plugin;
    if (plugin !== undefined) this.#parts.events.cleared({ plugin, unit });
  }

  /**
   * systemd does not have the unit, or as inactive or failed: it is gone, unless it is only about to be made. Of a unit
   * that it does not have, systemd tells that it was removed when somebody has asked for its properties.
   */
  unitNotThere(unit: string): void {
    if (!this.#inStart.has(unit)) this.unitGone(unit);
  }

  /** systemd says that the unit is active. */
  unitActive(unit: string): void {
    const sandbox = this.#sandboxes.get(unit);
    if (sandbox === undefined || !this.isReady(sandbox.record)) return;
    sandbox.watchCgroup();
    this.#nowReady(sandbox);
  }

  /** Whether a sandbox is ready whose unit is active. */
  isReady(record: SandboxRecord): boolean {
    const isolation = parseSandboxUnit(record.unit)?.isolation;
    return isolation !== undefined && this.#starters[isolation].isReady(record);
  }

  /**
   * What is handed to the unit's init: report pipe, filter, listeners, socket for calls. Throws BH302 for a unit that is not
   * known, and BH316.
   */
  async descriptorsFor(unit: string): Promise<{ readonly fds: readonly number[] }> {
    const sandbox = this.#known(unit);
    const { rpc, seccomp, listeners } = sandbox.record;
    const filter = await this.#parts.filters.open(seccomp);
    const fds = [filter.fd];
    const calls: number[] = [];
    try {
      if (rpc !== undefined) calls.push(await openCallSocket(rpc));
      // It may have been given up meanwhile.
      this.#known(unit);
      // A launcher that comes after a restart of the supervisor gets a new pipe: the old write end went with it.
      if (!this.#pipes.has(unit)) this.#openPipe(sandbox);
      fds.unshift(this.#pipes.take(unit));
      for (const key of listeners) fds.push(this.#parts.copyListener(key));
      this.#parts.records.write(sandbox.noteFilter(filter.digest));
      return { fds: [...fds, ...calls] };
    } catch (error) {
      for (const fd of [...fds, ...calls]) closeSync(fd);
      if (!this.#sandboxes.has(unit)) this.#forgetOnHost(unit);
      throw error;
    }
  }

  /** Stops watching; what runs goes on. */
  release(): void {
    for (const sandbox of this.#sandboxes.values()) sandbox.release();
    this.#pipes.release();
    this.#starts.release();
  }

  /** A start job that fails is told with its reason before the end of its unit, which systemd may announce first. */
  #afterStart(unit: string, tell: () => void): void {
    const heldBack = this.#heldBack.get(unit);
    if (heldBack === undefined) tell();
    else heldBack.push(tell);
  }

  #takeHeldBack(unit: string): readonly (() => void)[] {
    const heldBack = this.#heldBack.get(unit) ?? [];
    this.#heldBack.delete(unit);
    return heldBack;
  }

  #add(record: SandboxRecord): Sandbox {
    const { clock, events, wakeListener, ignored } = this.#parts;
    // A connection of which it was told, and which it did not live to take, is for others.
    const giveWay = (): void => record.listeners.forEach(wakeListener);
    const sandbox = new Sandbox(record, clock, {
      report: (report) => this.#reported(sandbox, report),
      empty: (killed) => {
        giveWay();
        this.#afterStart(record.unit, () =>
          events.exited(record, {
            how: killed ? 'killed' : 'unknown',
            status: killed ? SIGKILL : 0,
            forbidden: sandbox.forbidden,
            lostHelper: sandbox.lostHelper,
          }),
        );
      },
      overdue: () => {
        // Before the end that it comes to is reported, which would look like any other kill.
        if (sandbox.tookTooLong)
          events.startFailed(record, startFailure(sandbox, new Failure('BH301', `'${record.unit}'`)));
        void this.clear(record.unit);
      },
      unkillable: () => events.unkillable(sandbox.record),
      untold: (failure) => ignored(`init of '${record.unit}' could not be told something, ignoring`, failure),
      cleared: () => {
        giveWay();
        this.#afterStart(record.unit, () => events.cleared(record));
      },
    });
    this.#sandboxes.set(record.unit, sandbox);
    return sandbox;
  }

  /** Told as often as it is seen. */
  #nowReady(sandbox: Sandbox): void {
    sandbox.ready();
    this.#parts.events.ready(sandbox.record);
  }

  #reported(sandbox: Sandbox, report: Report): void {
    const { events } = this.#parts;
    const { record } = sandbox;
    // What its program takes to be ready is no reason for others to wait.
    if (report.event === 'started') this.#starts.giveBack(record.unit);
    if (report.event === 'setup-failed') {
      events.startFailed(record, startFailure(sandbox, new Failure('BH302', report.error)));
    }
    if (report.event === 'ready') events.ready(record);
    if (report.event === 'stopping') events.stopSeen(record);
    if (report.event === 'gate') events.gate(record, report.gate);
    if (report.event === 'probe' && report.asked) events.probed(record, report);
    if (report.event === 'metrics') events.metrics(record, report);
    if (report.event === 'exit') {
      const { how, status, childrenLeft } = report;
      const { forbidden, lostHelper } = sandbox;
      events.exited(record, { how, status, forbidden, lostHelper, childrenLeft });
    }
  }

  #openPipe(sandbox: Sandbox): void {
    sandbox.listen(this.#pipes.open(sandbox.record.unit));
  }

  #known(unit: string): Sandbox {
    const sandbox = this.#sandboxes.get(unit);
    if (sandbox === undefined) throw new Failure('BH302', `nobody ordered '${unit}'`);
    return sandbox;
  }

  #stopRefused(unit: string, failure: Failure): void {
    if (failure.dbusName === 'org.freedesktop.systemd1.NoSuchUnit') this.unitGone(unit);
  }
}
