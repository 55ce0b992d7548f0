import type { Clock, Owned } from '../base/clock.ts';
import { Owner } from '../base/owner.ts';
import { isPopulated, killCgroup } from '../kernel/cgroup.ts';
import { watchForEmpty } from '../watch/cgroup-events.ts';
import type { Report } from './report.ts';
import { readReports } from './report-pipe.ts';
import type { SandboxRecord } from './sandbox-record.ts';

/** nspawn puts the payload's processes below its unit's group here, and itself into `supervisor`. */
export const PAYLOAD_GROUP = 'payload';

/** How long (ms) the last words in the report pipe are waited for after the unit is gone. */
const LAST_WORDS_MS = 500;

/** What one sandbox tells while it lives. */
export interface SandboxVoice {
  report(report: Report): void;
  /** No process of the payload is left. */
  empty(): void;
  /** A limit of time was reached; the payload was killed for it. */
  overdue(): void;
  /** The unit is gone and all reports have been read. */
  cleared(): void;
}

/** The supervisor's view of one sandbox: its record, its report pipe, its cgroup. Owns what watches them. */
export class Sandbox implements Owned {
  readonly record: SandboxRecord;
  /** Host-independent pid inside the sandbox, as init reported it. */
  payloadPid: number | undefined;
  statusText: string | undefined;
  /** The step that init named when the set-up failed. */
  setupFailure: { readonly step: string; readonly error: string } | undefined;
  /** The start limit was reached, and the payload killed for it. */
  tookTooLong = false;
  readonly #owner: Owner;
  readonly #clock: Clock;
  readonly #voice: SandboxVoice;
  #pipeEnded = true;
  #unitGone = false;
  #told = false;
  #watchesCgroup = false;
  #startLimit: Owned | undefined;
  #stopLimit: Owned | undefined;

  constructor(record: SandboxRecord, clock: Clock, voice: SandboxVoice) {
    this.record = record;
    this.#clock = clock;
    this.#voice = voice;
    this.#owner = new Owner(`sandbox ${record.unit}`);
  }

  get payloadCgroup(): string {
    return `${this.record.cgroup}/${PAYLOAD_GROUP}`;
  }

  /** Reads reports from this descriptor, which is taken over. */
  listen(readEnd: number): void {
    this.#pipeEnded = false;
    const ended = (): void => {
      this.#pipeEnded = true;
      this.#maybeCleared();
    };
    this.#owner.own(readReports(readEnd, (report) => this.#report(report), ended));
  }

  /** Watches the payload's cgroup; it must exist. */
  watchCgroup(): void {
    if (this.#watchesCgroup || this.#owner.released) return;
    this.#watchesCgroup = true;
    this.#owner.own(watchForEmpty(this.payloadCgroup, () => this.#voice.empty()));
  }

  /** Ends a start that takes too long. */
  limitStart(): void {
    this.#startLimit = this.#limit(this.record.startTimeoutMs, () => {
      this.tookTooLong = true;
    });
  }

  /** Ends a stop that takes too long; asking twice gives no more time. */
  limitStop(): void {
    this.ready();
    this.#stopLimit ??= this.#limit(this.record.stopTimeoutMs, () => {});
  }

  /** The start limit does not apply any more. */
  ready(): void {
    if (this.#startLimit !== undefined) this.#owner.drop(this.#startLimit);
  }

  /**
   * Kills the payload, not nspawn: nspawn then ends by itself and cleans up. systemd's own limit, which would kill
   * nspawn hard and leave a mount behind, comes later.
   */
  #limit(afterMs: number, reached: () => void): Owned {
    return this.#owner.own(
      this.#clock.after(afterMs, () => {
        reached();
        killCgroup(this.payloadCgroup);
        this.#voice.overdue();
      }),
    );
  }

  /** systemd says that the unit is inactive, failed or not there. */
  unitGone(): void {
    if (this.#unitGone || isPopulated(this.record.cgroup)) return;
    this.#unitGone = true;
    this.#maybeCleared();
    if (!this.#told) this.#owner.own(this.#clock.after(LAST_WORDS_MS, () => this.#clearedNow()));
  }

  /** Waits, bounded, until what init had to say has been read. */
  lastWords(): Promise<void> {
    return new Promise((resolve) => {
      const started = this.#clock.now();
      const look = (): void => {
        const late = this.#clock.now() - started >= LAST_WORDS_MS;
        if (this.#pipeEnded || this.setupFailure !== undefined || late || this.#owner.released) resolve();
        else this.#owner.own(this.#clock.after(5, look));
      };
      look();
    });
  }

  release(): void {
    this.#owner.release();
  }

  #report(report: Report): void {
    if (report.event === 'started') {
      this.payloadPid = report.pid;
      this.watchCgroup();
    }
    if (report.event === 'ready') this.ready();
    if (report.event === 'status') this.statusText = report.text;
    if (report.event === 'setup-failed') this.setupFailure = report;
    this.#voice.report(report);
  }

  #maybeCleared(): void {
    if (this.#unitGone && this.#pipeEnded) this.#clearedNow();
  }

  #clearedNow(): void {
    if (this.#told) return;
    this.#told = true;
    this.#voice.cleared();
  }
}
