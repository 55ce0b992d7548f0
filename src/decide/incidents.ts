import { formatDuration } from '../base/duration.ts';
import { type Incident, incidentId } from '../diagnose/incident.ts';
import type { Verdict } from '../diagnose/verdict.ts';
import type { SlotName } from '../plan/plan.ts';
import type { Turn } from './chain.ts';
import type { Draft } from './draft.ts';
import type { OpenIncident, PluginState, SandboxEntry } from './plugin-state.ts';
import { inTraffic, isWhole, living, serving } from './plugin-state.ts';
import { planOf } from './sides.ts';

/** More than so many different failures at once are told of as steps of the last incident. */
const MOST_OPEN = 8;

/** A replacement that dies sooner (ms) was none: a crash loop is one incident. */
const PROVES_ITSELF_MS = 1000;

/**
 * Opens an incident, or adds to one that is open for the same kind of failure: a crash loop is one incident. Returns its
 * id.
 */
export function openIncident(draft: Draft, about: SandboxEntry | undefined, verdict: Verdict, turn: Turn): string {
  const { plugin, slot, nextIncident, open } = draft.state;
  const alike = open.find(({ incident }) => isAlike(incident.verdict, verdict));
  const known = alike ?? (open.length < MOST_OPEN ? undefined : open.at(-1));
  if (known !== undefined) {
    const { id } = known.incident;
    const who = about === undefined ? '' : `'${about.unit}': `;
    draft.again.set(id, `${who}${verdict.class}: ${verdict.text}`);
    return id;
  }
  const incident: Incident = {
    id: incidentId(plugin, nextIncident, draft.moment.wall),
    plugin,
    version: planOf(draft.state, about?.slot ?? slot)?.version,
    unit: about?.unit,
    generation: about?.generation,
    slot: about?.slot ?? slot,
    at: draft.moment.wall,
    verdict,
    action: '',
    step: { index: turn.index, of: turn.of, kind: turn.step.kind },
  };
  draft.set({ nextIncident: nextIncident + 1, open: [...open, { incident, since: draft.moment.now }] });
  return incident.id;
}

/** The open incident that the sandbox's end belongs to. */
export function incidentOf({ open }: { readonly open: readonly OpenIncident[] }, unit: string): string | undefined {
  return open.findLast(({ incident }) => incident.unit === unit)?.incident.id;
}

/** At the end of a decision: says in new incidents what was decided, and closes those that are over. */
export function settleIncidents(draft: Draft): void {
  const action = actionOf(draft);
  for (const [id, text] of draft.again) {
    draft.order({ kind: 'incident-step', id, text: draft.deeds.length === 0 ? text : `${text}; ${action}` });
  }
  draft.set({
    open: draft.state.open.map((each) => {
      if (each.incident.action !== '') return each;
      const incident = { ...each.incident, action };
      draft.order({ kind: 'incident', incident });
      return { ...each, incident };
    }),
  });
  closeIncidents(draft, isLetGo, false, () => 'the kernel has let go of it');
  if (draft.state.phase !== 'on') return;
  closeIncidents(draft, isToldOnly, false, () => 'told, which is all that is declared for it');
  closeIncidents(draft, isOver, true, (ms) =>
    ms === 0 ? 'recovered at once' : `recovered after ${formatDuration(ms)}`,
  );
}

/** What was decided, what serves again first. */
function actionOf({ deeds, state, moment }: Draft): string {
  if (deeds.length === 0 && state.notBefore > moment.now)
    return `next start in ${formatDuration(Math.ceil(state.notBefore - moment.now))}`;
  if (deeds.length === 0) return 'nothing more: the others go on, and what is missing starts already';
  const promotes = (deed: string): boolean => deed.startsWith('promote ');
  return [...deeds.filter(promotes), ...deeds.filter((deed) => !promotes(deed))].join(', ');
}

/** Closes those incidents for another reason than that the plugin got well by itself. */
export function closeByHand(draft: Draft, text: string): void {
  closeIncidents(
    draft,
    ({ incident }) => incident.verdict.class !== 'unkillable',
    false,
    () => text,
  );
}

/** Closes it if it is about a sandbox of another slot than this one. */
export function closeIncident(draft: Draft, id: string, slot: SlotName, text: string): void {
  const isMeant = ({ incident }: OpenIncident): boolean => incident.id === id && incident.slot !== slot;
  closeIncidents(draft, isMeant, false, () => text);
}

function closeIncidents(
  draft: Draft,
  isClosed: (open: OpenIncident, draft: Draft) => boolean,
  alone: boolean,
  text: (ms: number) => string,
): void {
  for (const each of draft.state.open) {
    if (!isClosed(each, draft)) continue;
    const ms = Math.max(0, Math.round((alone ? wellSince(each, draft) : draft.moment.now) - each.since));
    draft.order({ kind: 'incident-over', id: each.incident.id, text: text(ms) });
    draft.note('recovered', each.incident.unit, undefined, `${each.incident.verdict.class}: ${text(ms)}`, {
      incident: each.incident.id,
      class: each.incident.verdict.class,
    });
    const { over, alone: before, aloneMs } = draft.state.recoveries;
    draft.set({
      open: draft.state.open.filter((other) => other !== each),
      recoveries: {
        over: over + 1,
        alone: before + (alone ? 1 : 0),
        aloneMs: aloneMs + (alone ? ms : 0),
      },
    });
  }
}

/** What it was about lives on, and nothing is to be done about it but to tell. */
function isToldOnly({ incident }: OpenIncident, { state }: Draft): boolean {
  if (incident.step.kind !== 'run' && incident.step.kind !== 'notify') return false;
  return incident.unit === undefined || living(state).some(({ unit }) => unit === incident.unit);
}

/** Whatever the plugin does by now. */
function isLetGo({ incident }: OpenIncident, { state }: Draft): boolean {
  return incident.verdict.class === 'unkillable' && !state.sandboxes.has(incident.unit ?? '');
}

/** The pool has been whole again for a while, and the one that it was about is not there any more, or not ill. */
function isOver({ incident }: OpenIncident, draft: Draft): boolean {
  const { state, moment } = draft;
  const about = incident.unit === undefined ? undefined : state.sandboxes.get(incident.unit);
  if (incident.verdict.class === 'unkillable') return false;
  // The answer to it is that the upgrade is undone.
  if (state.upgrade?.incident === incident.id) return false;
  if (about !== undefined && (about.verdict !== undefined || about.renewing) && serving(state).includes(about))
    return false;
  if (!isWhole(state)) return false;
  const proved = wholeSince(state) + PROVES_ITSELF_MS;
  if (moment.now < proved) draft.wakeBy(proved);
  return moment.now >= proved;
}

/** Monotonic ms; when the last of the pool became ready. */
function wholeSince(state: PluginState): number {
  return Math.max(0, ...inTraffic(state).map(({ readyAt }) => readyAt ?? 0));
}

/** Monotonic ms; it took until the pool was whole, not until that was believed. One that got well by itself is well now. */
function wellSince({ incident }: OpenIncident, { state, moment }: Draft): number {
  const gotWell = serving(state).some(({ unit }) => unit === incident.unit);
  return gotWell ? moment.now : Math.min(moment.now, wholeSince(state));
}

function isAlike(one: Verdict, other: Verdict): boolean {
  return one.class === other.class && one.kind === other.kind;
}
