import type { Failure, FailureCode } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';
import { formatProblem, type Problem } from '../base/problem.ts';
import { parseSandboxUnit } from '../plan/identity.ts';
import type { Journal, Priority } from '../systemd/journal.ts';
import type { EventRing } from './event-ring.ts';
import { messageId } from './messages.ts';

/** What happened, before it has a number and a time. */
export interface Happening<Kind extends string> {
  readonly kind: Kind;
  readonly plugin: string | undefined;
  readonly unit: string | undefined;
  readonly code: FailureCode | undefined;
  readonly text: string;
  /** The system call that a payload was killed for, and the thread that made it, inside the sandbox. */
  readonly forbidden?: { readonly call: string; readonly pid: number; readonly tid: number } | undefined;
  /** The limit that it is about. */
  readonly limit?: string | undefined;
  /** The incident that was opened for it, and the class of the failure. */
  readonly incident?: string | undefined;
  readonly class?: FailureClass | undefined;
  /** Id of the change of version that it belongs to. */
  readonly upgrade?: string | undefined;
  readonly failure?: FailureWords | undefined;
}

/** What else an entry says of a failure. */
export interface FailureWords {
  readonly kind: string | undefined;
  readonly version: string | undefined;
  /** Of the first request that was in its hands. */
  readonly traceId: string | undefined;
}

/** Kinds of happenings that are worth more than an `info` line. */
const PRIORITIES: Readonly<Record<string, Priority>> = {
  died: 'warning',
  'start-failed': 'warning',
  'backing-off': 'notice',
  limit: 'warning',
  failed: 'error',
  declaration: 'error',
  incident: 'warning',
  recovered: 'notice',
  quarantined: 'error',
  fenced: 'error',
  upgrading: 'notice',
  upgraded: 'notice',
  'rolled-back': 'warning',
  'upgrade-refused': 'warning',
  'upgrade-aborted': 'warning',
};

/** Writes what happens into the journal, which is the history, and into the ring that clients read. */
export class Chronicle<Kind extends string> {
  readonly #ring: EventRing<Kind>;
  readonly #journal: Journal;

  constructor(ring: EventRing<Kind>, journal: Journal) {
    this.#ring = ring;
    this.#journal = journal;
  }

  add(happening: Happening<Kind>): void {
    const { kind, plugin, unit, code, text, forbidden, limit, incident, failure } = happening;
    this.#ring.add({
      at: Date.now(),
      plugin: plugin ?? null,
      unit: unit ?? null,
      kind,
      code: code ?? null,
      class: happening.class ?? null,
      incident: incident ?? null,
      text,
    });
    const who = unit ?? plugin;
    const line = `${who === undefined ? '' : `'${who}': `}${code === undefined ? '' : `${code} `}${text}`;
    const parsed = unit === undefined ? undefined : parseSandboxUnit(unit);
    const fields = {
      BULKHEAD_PLUGIN: plugin,
      BULKHEAD_UNIT: unit,
      BULKHEAD_GENERATION: parsed?.generation,
      BULKHEAD_EVENT: kind,
      BULKHEAD_CODE: code,
      BULKHEAD_LIMIT: limit,
      BULKHEAD_SYSCALL: forbidden?.call,
      BULKHEAD_SYSCALL_PID: forbidden?.pid,
      BULKHEAD_SYSCALL_TID: forbidden?.tid,
      BULKHEAD_INCIDENT: incident,
      BULKHEAD_CLASS: happening.class,
      BULKHEAD_UPGRADE: happening.upgrade,
      BULKHEAD_KIND: failure?.kind,
      BULKHEAD_VERSION: failure?.version,
      BULKHEAD_TRACE_ID: failure?.traceId,
    };
    this.#journal.write(PRIORITIES[kind] ?? 'info', line, fields, messageId(kind, happening.class));
  }

  /** Something odd that changed nothing. */
  ignored(text: string, failure?: Failure): void {
    this.#journal.write('warning', failure === undefined ? text : `${text}: ${failure.line}`, {
      BULKHEAD_CODE: failure?.code,
    });
  }

  /** A mistake in bulkhead's own configuration, which is not taken because of it. */
  refused(problem: Problem): void {
    this.#journal.write('error', formatProblem(problem), { BULKHEAD_CODE: problem.code });
  }

  /** A defect of ours: it was survived, and must be found. */
  defect(thrown: unknown): void {
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#journal.write('error', `defect, going on: ${text}`);
  }
}
