import type { Verdict } from '../diagnose/verdict.ts';
import type { Draft } from './draft.ts';
import { illBeside } from './new-side.ts';
import type { Observation } from './observation.ts';
import type { SandboxEntry } from './plugin-state.ts';
import { living } from './plugin-state.ts';
import { servesNoMore } from './recover.ts';

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
  // Of an upgrade's new side that is one of the signals which it is judged by.
  if (sandbox.slot !== draft.state.slot) return;
  const flaps = `failed ${FLAPS} times within ${FLAPPING_MS / 1000} s, and passed in between; the last time: ${text}`;
  if (!passes && unready.length >= FLAPS) foundIll(draft, known, probeFailed('readiness-flapping', flaps));
}

/**
 * It lives and is ill. What was found first stays what it is treated for, unless it served with that and does not any
 * more.
 */
export function foundIll(draft: Draft, sandbox: SandboxEntry, verdict: Verdict): void {
  const { unit, learning, verdict: known, renewing } = sandbox;
  const { phase, healing } = draft.state;
  if ((phase !== 'on' && phase !== 'loading') || learning) return;
  if (!living(draft.state).some((other) => other.unit === unit)) return;
  if (sandbox.slot !== draft.state.slot) return illBeside(draft, sandbox, verdict);
  const isGraver = servesNoMore(verdict) && (known === undefined || !servesNoMore(known));
  if ((known !== undefined || renewing) && !isGraver) return;
  draft.put({ ...sandbox, verdict, renewing: false, illSince: draft.moment.now });
  // That it was to be replaced in its own time is overtaken.
  if (healing?.unit === unit) draft.set({ healing: undefined });
}

function probeFailed(kind: string, text: string): Verdict {
  const evidence = [{ what: `${kind === 'liveness' ? kind : 'readiness'} probe`, value: text.slice(0, 200) }];
  return { class: 'probe-failed', kind, confidence: 1, text: `${kind}: ${text}`, evidence, excuses: [], traceIds: [] };
}
