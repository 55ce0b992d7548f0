import { formatDuration } from '../base/duration.ts';
import { diagnoseDeath } from '../diagnose/death.ts';
import type { Exit } from '../diagnose/exit.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import type { Draft } from './draft.ts';
import { unfence } from './fence.ts';
import { incidentOf } from './incidents.ts';
import { failedBeside } from './new-side.ts';
import type { Reason } from './observation.ts';
import type { SandboxEntry } from './plugin-state.ts';
import { recoverFromDeath } from './recover.ts';
import { planOf, stopTimeout } from './sides.ts';
import { diedInPlace } from './upgrade-in-place.ts';

const SIGKILL = 9;
/** Timers may ring so much (ms) too early. */
const ROUNDING_MS = 50;

/** A payload ended, or never began. What nobody had asked for is a death. */
export function ended(
  draft: Draft,
  unit: string,
  event: 'exited' | 'start-failed',
  exit: Exit | undefined,
  reason: Reason | undefined,
): void {
  const sandbox = draft.state.sandboxes.get(unit);
  if (sandbox === undefined || !draft.change(unit, event, { exit })) return;
  draft.order({ kind: 'clear', unit });
  const plan = planOf(draft.state, sandbox.slot);
  // What the supervisor before this one began ends with it, which is not the program's fault.
  const interrupted = sandbox.interrupted && exit?.how === 'unknown';
  const asked = sandbox.asked || sandbox.life === 'stopping' || interrupted;
  const verdict = plan === undefined ? undefined : diagnoseDeath({ ...factsOf(draft, sandbox), exit, reason, plan });
  const why = interrupted
    ? 'its start ended with the supervisor that had ordered it'
    : (overdueText(draft, sandbox, exit) ?? reason?.text ?? verdict?.text ?? 'ended');
  const what = asked ? 'stopped' : event === 'exited' ? 'died' : 'start-failed';
  const isMemory = verdict?.class === 'oom' || verdict?.class === 'oom-host';
  const about = { forbidden: exit?.forbidden, limit: isMemory ? ('memory' as const) : undefined };
  draft.note(what, unit, reason?.code, why, asked ? about : { ...about, class: verdict?.class });
  const incident = sandbox.doomed ? incidentOf(draft.state, unit) : undefined;
  if (incident !== undefined) draft.order({ kind: 'incident-step', id: incident, text: `'${unit}' ended: ${why}` });
  const answered = asked || verdict === undefined ? undefined : answer(draft, sandbox, verdict, reason, why);
  const cause = sandbox.doomed ? sandbox.verdict : asked ? undefined : verdict;
  if (event !== 'exited' || cause === undefined) return;
  draft.order({
    kind: 'crashed',
    unit,
    generation: sandbox.generation,
    class: cause.class,
    text: sandbox.doomed ? cause.text : why,
    incident: answered ?? incident ?? null,
  });
}

/** What follows from a death; returns the incident that it belongs to. Of one that learned nothing follows. */
function answer(
  draft: Draft,
  sandbox: SandboxEntry,
  verdict: Verdict,
  reason: Reason | undefined,
  why: string,
): string | undefined {
  if (sandbox.learning) return undefined;
  if (sandbox.slot !== draft.state.slot) return failedBeside(draft, sandbox, verdict);
  const text = `sandbox '${sandbox.unit}': ${why}`;
  diedInPlace(draft, text);
  return recoverFromDeath(draft, sandbox, verdict, reason ?? { code: 'BH304', text });
}

function factsOf({ moment }: Draft, { outOfMemory, reached, startup, readyAt }: SandboxEntry) {
  return { outOfMemory, reached: [...reached.values()], startup, readyAt, now: moment.now };
}

/** Nothing is left of it. */
export function cleared(draft: Draft, unit: string): void {
  const sandbox = draft.state.sandboxes.get(unit);
  if (sandbox === undefined) return;
  // A unit that vanished without any other word has died, too.
  if (sandbox.life !== 'dead' && sandbox.life !== 'fenced')
    ended(draft, unit, 'exited', { how: 'unknown', status: 0 }, undefined);
  if (sandbox.life === 'fenced') unfence(draft, sandbox);
  draft.drop(unit);
  draft.order({ kind: 'forget', unit });
}

/** Said of a payload that was asked to stop, did not, and was killed when its time was over. */
function overdueText({ state, moment }: Draft, sandbox: SandboxEntry, exit: Exit | undefined): string | undefined {
  const { stopSince, doomed, slot } = sandbox;
  const wasKilled = exit?.how === 'killed' && exit.status === SIGKILL;
  const plan = planOf(state, slot);
  if (plan === undefined || stopSince === undefined || doomed || !wasKilled) return undefined;
  const { signal } = plan.declaration.stop;
  const timeoutMs = stopTimeout(state, slot) ?? plan.declaration.stop.timeoutMs;
  if (moment.now - stopSince < timeoutMs - ROUNDING_MS) return undefined;
  return `did not end within ${formatDuration(timeoutMs)} of ${signal}, killed`;
}
