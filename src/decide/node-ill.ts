import type { Verdict } from '../diagnose/verdict.ts';
import { nextTurn } from './chain.ts';
import type { Draft } from './draft.ts';
import { openIncident } from './incidents.ts';
import { serving, standbys } from './plugin-state.ts';
import { quarantine } from './quarantine.ts';
import { renew, take } from './recover.ts';
import { canGoBack, rollbackByRecovery } from './upgrade-ask.ts';

/** Something is wrong with the node: what the plugin's chain says for that. No sandbox is to blame, so none is killed. */
export function nodeIll(draft: Draft, verdict: Verdict): void {
  if (draft.state.phase !== 'on') return;
  const circumstances = {
    riskyAllowed: draft.moment.riskyAllowed,
    budgetUsed: false,
    canGoBack: canGoBack(draft.state),
  };
  const turn = nextTurn(draft.state, verdict.class, circumstances);
  if (turn.waits) return;
  const id = openIncident(draft, undefined, verdict, turn);
  take(draft, turn, { id, sandbox: undefined, verdict });
  const { kind } = turn.step;
  draft.note('recovering', undefined, 'BH314', `${verdict.class}: ${verdict.text}; ${kind}`, {
    class: verdict.class,
    incident: id,
  });
  if (kind === 'rollback') rollbackByRecovery(draft, verdict.text);
  if (kind === 'quarantine') quarantine(draft, { code: 'BH314', text: `${verdict.class}: ${verdict.text}` });
  if (['restart', 'replace', 'recycle', 'freeze'].includes(kind))
    for (const sandbox of [...serving(draft.state), ...standbys(draft.state)]) renew(draft, sandbox);
}
