import type { Verdict } from '../diagnose/verdict.ts';
import type { Draft } from './draft.ts';
import type { Observation } from './observation.ts';
import type { SandboxEntry } from './plugin-state.ts';
import { living } from './plugin-state.ts';

/** A readiness probe that says no so often within the time (ms) is no measure of anything any more. */
const FLAPS = 5;
const FLAPPING_MS = 60_000;

/** What a probe says: of readiness it decides about traffic, of liveness about life; of the start it explains. */
export function probed(draft: Draft, seen: Extract<Observation, { kind: 'probed' }>): void {
  const sandbox = draft.state.sandboxes.get(seen.unit);
  if (sandbox === undefined || !living(draft.state).includes(sandbox)) return;
  const { passes, text } = seen;
  if (seen.probe === 'startup') return draft.put({ ...sandbox, startup: text });
  if (seen.probe === 'liveness') {
    if (!passes) return foundIll(draft, sandbox, probeFailed('liveness', text));
    // It came round before its turn to be healed.
    if (sandbox.verdict?.kind === 'liveness' && !sandbox.renewing) draft.put({ ...sandbox, verdict: undefined });
    return;
  }
  const { now } = draft.moment;
  const unready = [...sandbox.unready.filter((at) => now - at < FLAPPING_MS), ...(passes ? [] : [now])];
  const known: SandboxEntry = { ...sandbox, readiness: passes, unready: unready.slice(-FLAPS) };
  draft.put(known);
  const flaps = `failed ${FLAPS} times within ${FLAPPING_MS / 1000} s, and passed in between; the last time: ${text}`;
  if (!passes && unready.length >= FLAPS) foundIll(draft, known, probeFailed('readiness-flapping', flaps));
}

/** It lives and is ill. What was found first, and is not answered yet, stays what it is treated for. */
export function foundIll(draft: Draft, sandbox: SandboxEntry, verdict: Verdict): void {
  const { unit, learning, renewing, verdict: known } = sandbox;
  if (draft.state.phase !== 'on' || learning || renewing || known !== undefined) return;
  if (!living(draft.state).some((other) => other.unit === unit)) return;
  draft.put({ ...sandbox, verdict, illSince: draft.moment.now });
}

function probeFailed(kind: string, text: string): Verdict {
  const evidence = [{ what: `${kind === 'liveness' ? kind : 'readiness'} probe`, value: text.slice(0, 200) }];
  return { class: 'probe-failed', kind, confidence: 1, text: `${kind}: ${text}`, evidence, excuses: [], traceIds: [] };
}
