import type { JudgedSignal } from '../diagnose/judge.ts';
import type { Evidence, Verdict } from '../diagnose/verdict.ts';
import type { Draft } from './draft.ts';
import { openIncident } from './incidents.ts';
import { ANSWER_BESIDE } from './new-side.ts';
import type { Reason } from './observation.ts';
import { inTraffic } from './plugin-state.ts';
import { otherSide } from './sides.ts';
import type { Upgrade } from './upgrade.ts';
import { setUpgrade } from './upgrade-course.ts';
import { undo } from './upgrade-end.ts';

/** What chance may do to a judgement is far less; but what the new side says of itself is its own word. */
const CONFIDENCE = 0.99;
const MOST_VALUE = 200;

/**
 * The judge's word ends the upgrade: an incident like any other failure of the new side, of which the rows of the judgement
 * are the evidence. It names one of its sandboxes, which is looked at while it lives.
 * @param kind whether it was found worse, or not enough was seen of it
 */
export function undoAsJudged(draft: Draft, upgrade: Upgrade, kind: 'judged' | 'not-judged', reason: Reason): void {
  const side = upgrade.way === 'in-place' ? draft.state : otherSide(draft.state);
  const [about] = inTraffic(side);
  const verdict: Verdict = {
    class: 'probe-failed',
    kind,
    confidence: kind === 'judged' ? CONFIDENCE : 1,
    text: reason.text,
    evidence: (upgrade.signals?.judgement.rows ?? []).map(evidenceOf),
    excuses: [],
    traceIds: [],
  };
  // A failure that was borne may have had one, which is not what it is undone for.
  setUpgrade(draft, { incident: openIncident(draft, about, verdict, ANSWER_BESIDE) });
  undo(draft, reason);
}

function evidenceOf({ signal, old, new: is, bound, enough, bad }: JudgedSignal): Evidence {
  const word = bad ? 'bad' : enough ? 'well' : 'too little to say';
  return { what: signal, value: `${word}: ${is}; the old side: ${old}; borne: ${bound}`.slice(0, MOST_VALUE) };
}
