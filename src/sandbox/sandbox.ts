import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, type Failure } from '../base/failure.ts';
import { Owner } from '../base/owner.ts';
import type { ProbeName } from '../declare/probe.ts';
import { isPopulated, killCgroup } from '../kernel/cgroup.ts';
import { watchForEmpty } from '../kernel/cgroup-events.ts';
import { signalGate } from '../kernel/gate-signal.ts';
import { askMetrics, askProbes, signalReload } from '../kernel/init-signal.ts';
import type { SeenCall } from '../learn/rule.ts';
import type { Gate } from '../plan/plan.ts';
import { GateTeller } from './gate-teller.ts';
import { Killer } from './killer.ts';
import type { ForbiddenCall, Helper, ProbeReport, Report } from './report.ts';
import { readReports } from './report-pipe.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** More than init can tell: a few values of each call. */
const MOST_LEARNED = 16_384;

/** How long (ms) the last words in the report pipe are waited for after the unit is gone. */
const LAST_WORDS_MS = 500;
/** And in how many turns of the event loop at least. */
const LEAST_LOOKS = 20;

/** Init ends right after its last report, and the kernel ends what is left in its pid namespace with it; ms. */
const REST_MS = 2000;

/** How often (ms) a cgroup is looked at whose unit is gone and that is not empty. */
const LOOK_AGAIN_MS = 1000;

/** What one sandbox tells while it lives. */
export interface SandboxVoice {
  report(report: Report): void;
  /** No process of the payload is left, and init said nothing about it. `killed`: we killed all of it at a limit. */
  empty(killed: boolean): void;
  /** A limit of time was reached; the payload was killed for it. */
  overdue(): void;
  /** It was killed, and is still there. Told again until it is not. */
  unkillable(): void;
  /** Init could not be told how its gate is to stand; it will be told again. */
  untold(failure: Failure): void;
  /** The unit is gone and all reports have been read. */
  cleared(): void;
}

/** The supervisor's view of one sandbox: its record, its report pipe, its cgroup. Owns what watches them. */
export class Sandbox implements Owned {
  #record: SandboxRecord;
  /** Host-independent pid inside the sandbox, as init reported it. */
  payloadPid: number | undefined;
  statusText: string | undefined;
  /** What each probe said last, and when. */
  readonly probes = new Map<ProbeName, ProbeReport & { readonly at: number }>();
  /** The step that init named when the set-up failed. */
  setupFailure: { readonly step: string; readonly error: string } | undefined;
  /** Its start job is under way: until that has a result, a unit that seems inactive is only not yet active. */
  jobPending = false;
  /** How its gate stands, as init said last; undefined when it was not told to change it. */
  gate: Gate | undefined;
  /** What the payload was killed for. */
  forbidden: ForbiddenCall | undefined;
  /** What the payload called, in a run that learns. */
  readonly learned: SeenCall[] = [];
  /** Whose end the payload was killed for. */
  lostHelper: Helper | undefined;
  /** The start limit was reached, and the payload killed for it. */
  tookTooLong = false;
  readonly #owner: Owner;
  readonly #clock: Clock;
  readonly #voice: SandboxVoice;
  readonly #killer: Killer;
  readonly #gate: GateTeller;
  #pipe: Owned | undefined;
  #pipeEnded = true;
  #unitGone = false;
  #told = false;
  #watchesCgroup = false;
  #exitReported = false;
  #emptyTold = false;
  #lookAgain: Owned | undefined;
  #startLimit: Owned | undefined;
  #stopLimit: Owned | undefined;
  #stopEnds = 0;
  #restLimit: Owned | undefined;

  constructor(record: SandboxRecord, clock: Clock, voice: SandboxVoice) {
    this.#record = record;
    this.#clock = clock;
    this.#voice = voice;
    this.#owner = new Owner(`sandbox ${record.unit}`);
    const { payloadCgroup } = record;
    const group = { kill: () => killCgroup(payloadCgroup), isPopulated: () => isPopulated(payloadCgroup) };
    this.#killer = this.#owner.own(new Killer(clock, group, () => voice.unkillable()));
    const signal = (gate: Gate): void => signalGate(payloadCgroup, gate);
    this.#gate = this.#owner.own(new GateTeller(clock, signal, (failure) => voice.untold(failure)));
  }

  get record(): SandboxRecord {
    return this.#record;
  }

  /** The launcher was handed the filter with this digest; returns the record with it. */
  noteFilter(digest: string): SandboxRecord {
    this.#record = { ...this.#record, filter: digest };
    return this.#record;
  }

  /** The unit got the limits with this digest; returns the record with it. */
  noteLimits(digest: string): SandboxRecord {
    this.#record = { ...this.#record, limits: digest };
    return this.#record;
  }

  /** Its gate is to stand so; returns the record with it. */
  noteGate(gate: Gate): SandboxRecord {
    this.#record = { ...this.#record, gate };
    return this.#record;
  }

  /** It is to end within this time; returns the record with it. */
  noteEnd(endsWithinMs: number): SandboxRecord {
    this.#record = { ...this.#record, endsWithinMs };
    return this.#record;
  }

  /** Has init say again what its probes say: an earlier supervisor may have read it, and not acted on it. */
  askProbes(): void {
    if (this.#record.probed !== true) return;
    try {
      askProbes(this.#record.payloadCgroup);
    } catch (error) {
      this.#voice.untold(asFailure(error));
    }
  }

  /** Has init ask for the program's own figures; they come as a report. */
  askMetrics(): void {
    try {
      askMetrics(this.#record.payloadCgroup);
    } catch (error) {
      this.#voice.untold(asFailure(error));
    }
  }

  /** Tells init, until it has answered, how the record says that its gate is to stand. */
  tellGate(): void {
    if (this.#record.gate !== undefined) this.#gate.tell(this.#record.gate);
  }

  /** The payload is to load anew what it has loaded: it gets this signal when it is ready. */
  reload(signal: NodeJS.Signals): void {
    signalReload(this.#record.payloadCgroup, signal);
  }

  /** Kills the payload, not nspawn: nspawn then ends by itself and cleans up. */
  kill(): void {
    this.#killer.kill();
  }

  /** Reads reports from this descriptor, which is taken over; the one before is closed. */
  listen(readEnd: number): void {
    if (this.#pipe !== undefined) this.#owner.drop(this.#pipe);
    this.#pipeEnded = false;
    const ended = (): void => {
      this.#pipeEnded = true;
      this.#maybeCleared();
    };
    this.#pipe = this.#owner.own(readReports(readEnd, (report) => this.#report(report), ended));
  }

  /** Watches the payload's cgroup; it must exist. */
  watchCgroup(): void {
    if (this.#watchesCgroup || this.#owner.released) return;
    this.#watchesCgroup = true;
    this.#owner.own(watchForEmpty(this.record.payloadCgroup, () => void this.#empty()));
  }

  /** Ends a start that takes too long. */
  limitStart(): void {
    this.#startLimit = this.#limit(this.record.startTimeoutMs, () => {
      this.tookTooLong = true;
    });
  }

  /**
   * Ends a stop that takes too long; asking twice gives no more time, but may give less.
   * @param timeoutMs as far as its unit lets it have so much; without it what is declared for a stop, or the time that it
   * was given before
   */
  limitStop(timeoutMs?: number): void {
    this.ready();
    const { stopTimeoutMs, drainMs = 0, endsWithinMs = stopTimeoutMs } = this.record;
    const withinMs = Math.min(timeoutMs ?? endsWithinMs, Math.max(stopTimeoutMs, drainMs));
    const ends = this.#clock.now() + withinMs;
    if (this.#stopLimit !== undefined) {
      if (timeoutMs === undefined || ends >= this.#stopEnds) return;
      this.#owner.drop(this.#stopLimit);
    }
    this.#stopEnds = ends;
    this.#stopLimit = this.#limit(withinMs, () => {});
  }

  /** Whether its stop was asked for. */
  get stopAsked(): boolean {
    return this.#stopLimit !== undefined;
  }

  /** The payload's main process ended; what it left behind has to follow. */
  limitRest(): void {
    this.ready();
    this.#restLimit ??= this.#limit(REST_MS, () => {});
  }

  /** The start limit does not apply any more. */
  ready(): void {
    if (this.#lookAgain !== undefined) this.#owner.drop(this.#lookAgain);
    this.#lookAgain = undefined;
    if (this.#startLimit !== undefined) this.#owner.drop(this.#startLimit);
  }

  /** systemd's own limit, which would kill nspawn hard and leave a mount behind, comes later. */
  #limit(afterMs: number, reached: () => void): Owned {
    return this.#after(afterMs, () => {
      reached();
      this.kill();
      this.#voice.overdue();
    });
  }

  /**
   * systemd says that the unit is inactive, failed or not there. A task that cannot be killed may still be in its
   * cgroup: then it is not gone before that is empty.
   */
  unitGone(): void {
    if (this.#unitGone || this.jobPending || this.#owner.released) return;
    if (isPopulated(this.record.cgroup)) {
      this.#lookAgain ??= this.#after(LOOK_AGAIN_MS, () => {
        this.#lookAgain = undefined;
        this.unitGone();
      });
      return;
    }
    this.#unitGone = true;
    this.#maybeCleared();
    if (!this.#told) this.#after(LAST_WORDS_MS, () => this.#clearedNow());
  }

  /** Waits, bounded, until what init had to say has been read. */
  lastWords(): Promise<void> {
    return new Promise((resolve) => {
      const started = this.#clock.now();
      let looks = 0;
      const look = (): void => {
        looks += 1;
        // Who was held up by something else has not waited: what came meanwhile is not read yet.
        const late = looks > LEAST_LOOKS && this.#clock.now() - started >= LAST_WORDS_MS;
        if (this.#pipeEnded || this.setupFailure !== undefined || late || this.#owner.released) resolve();
        else this.#after(5, look);
      };
      look();
    });
  }

  release(): void {
    this.#owner.release();
  }

  /** The kernel tells of the empty group before the last report was read: init's own word comes first. */
  async #empty(): Promise<void> {
    await this.lastWords();
    if (!this.#owner.released) this.#tellEmpty();
  }

  #tellEmpty(): void {
    const explained = this.#exitReported || this.setupFailure !== undefined;
    if (explained || this.#emptyTold) return;
    this.#emptyTold = true;
    this.#voice.empty(this.#killer.killed);
  }

  #report(report: Report): void {
    if (report.event === 'exit') this.#exitReported = true;
    if (report.event === 'started') {
      this.payloadPid = report.pid;
      this.watchCgroup();
    }
    if (report.event === 'ready') this.ready();
    // Whoever asked for the stop, systemd's own limit must not be the first.
    if (report.event === 'stopping') this.limitStop();
    if (report.event === 'status') this.statusText = report.text;
    if (report.event === 'gate') {
      this.gate = report.gate;
      this.#gate.answered(report.gate);
    }
    if (report.event === 'forbidden') {
      const { call, pid, tid } = report;
      this.forbidden ??= { call, pid, tid };
    }
    if (report.event === 'call' && this.learned.length < MOST_LEARNED) this.learned.push(report.seen);
    if (report.event === 'probe') this.probes.set(report.probe, { ...report, at: this.#clock.now() });
    if (report.event === 'helper-lost') this.lostHelper ??= report.helper;
    if (report.event === 'setup-failed') this.setupFailure = report;
    this.#voice.report(report);
  }

  #after(ms: number, run: () => void): Owned {
    const timer = this.#clock.after(ms, () => {
      this.#owner.drop(timer);
      run();
    });
    return this.#owner.own(timer);
  }

  #maybeCleared(): void {
    if (this.#unitGone && this.#pipeEnded) this.#clearedNow();
  }

  #clearedNow(): void {
    if (this.#told) return;
    this.#told = true;
    // Its unit may be gone before its empty group is seen; that we killed it is known nowhere else.
    if (this.#killer.killed) this.#tellEmpty();
    this.#voice.cleared();
  }
}
