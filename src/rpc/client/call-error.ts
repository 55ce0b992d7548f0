/** Codes that this side gives, beside those of the protocol and the plugin's own. */
export type ClientCode =
  /** Nobody to ask: no sandbox is there, or none that answers. */
  | 'unavailable'
  /** The call was in the hands of a sandbox that died, or whose connection ended. */
  | 'sandbox-died'
  /** More calls wait than are to wait: make fewer at a time. */
  | 'overloaded'
  /** The client was closed. */
  | 'closed'
  /** The sandbox sent what is no answer, or could not read what it got. */
  | 'bad-frame'
  | 'deadline-exceeded'
  | 'cancelled'
  | 'too-large';

/** What is known of a call that failed, beside its code and message. */
export interface CallFacts {
  readonly method: string;
  /** `no`: the method did not run, so that the call can be made again; `unknown`: it may have, in part or whole. */
  readonly begun: 'no' | 'unknown';
  /** Of the sandbox that had the call in its hands. */
  readonly generation?: number | undefined;
  /** Of the sandbox's death: `bulkheadctl incidents show ID` tells all about it. */
  readonly incident?: string | undefined;
  /** Class of the sandbox's failure, such as `crash` or `oom`. */
  readonly class?: string | undefined;
  /** What the plugin's error carries beside its message. */
  readonly data?: unknown;
  readonly cause?: unknown;
}

/** The only error that calls end with. */
export class CallError extends Error {
  override readonly name = 'CallError';
  /** One of ClientCode, one of the protocol's codes (docs/protocol.md, "Errors"), or one of the plugin's own. */
  readonly code: string;
  readonly method: string;
  readonly begun: 'no' | 'unknown';
  readonly generation: number | undefined;
  readonly incident: string | undefined;
  readonly class: string | undefined;
  readonly data: unknown;

  constructor(code: string, message: string, facts: CallFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.method = facts.method;
    this.begun = facts.begun;
    this.generation = facts.generation;
    this.incident = facts.incident;
    this.class = facts.class;
    this.data = facts.data;
  }
}
