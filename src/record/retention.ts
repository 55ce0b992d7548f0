import type { IncidentSummary } from './stored-incident.ts';

/** How much of the past is kept. */
export interface Retention {
  readonly keepMs: number;
  /** All bundles together. */
  readonly bytes: number;
}

/** Bundles are known by a few hundred bytes each in the supervisor's memory, so their number is bounded, too. */
export const MOST_INCIDENTS = 5000;

/** The bundles that have to go, the oldest first. One whose evidence is being gathered stays until that is done. */
export function outlived(incidents: Iterable<IncidentSummary>, { keepMs, bytes }: Retention, now: number): string[] {
  const youngestFirst = [...incidents].sort((one, other) => other.at - one.at);
  const gone: string[] = [];
  let total = 0;
  for (const [index, incident] of youngestFirst.entries()) {
    total += incident.bytes;
    const kept = now - incident.at <= keepMs && total <= bytes && index < MOST_INCIDENTS;
    if (!kept && incident.evidence === 'whole') gone.push(incident.id);
  }
  return gone.reverse();
}
