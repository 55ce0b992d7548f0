import { channel } from 'node:diagnostics_channel';
import type { BreakerState } from './breaker.ts';
import type { CallError } from './call-error.ts';
import type { CrashToken, SandboxFacts } from './discovery-message.ts';

/** What `bulkhead:call:start`, `:end` and `:error` tell; the same object each time, so that a tracer finds its own again. */
export interface CallEvent {
  readonly plugin: string;
  readonly method: string;
  readonly traceparent: string | undefined;
  /** At the end: since the start, ms. */
  ms?: number;
  /** At the end: requests that were sent for it. */
  attempts?: number;
  /** At the end: of the sandbox that had it last. */
  generation?: number | undefined;
  error?: CallError;
}

/** What `bulkhead:breaker` tells: calls of a method, or of all, are kept away from a sandbox, or let back. */
export interface BreakerEvent {
  readonly plugin: string;
  readonly generation: number | undefined;
  readonly method: string | undefined;
  readonly state: BreakerState;
}

/** What `bulkhead:discovery` tells. */
export type DiscoveryEvent = { readonly plugin: string } & (
  | { readonly sandboxes: readonly SandboxFacts[] }
  | { readonly crash: CrashToken }
  | { readonly connected: boolean; readonly why: string | undefined }
);

export const callStart = channel('bulkhead:call:start');
export const callEnd = channel('bulkhead:call:end');
export const callError = channel('bulkhead:call:error');
export const breakerChange = channel('bulkhead:breaker');
export const discovery = channel('bulkhead:discovery');
