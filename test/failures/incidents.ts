import { readdirSync, readFileSync } from 'node:fs';
import { parseStoredIncident, type StoredIncident } from '../../src/record/stored-incident.ts';

const DIRECTORY = '/var/lib/bulkhead/incidents';

/** Ids of all incidents that there are bundles of, oldest first. */
function ids(): string[] {
  try {
    return readdirSync(DIRECTORY).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/**
 * The incidents of a plugin since then (ms since 1970), oldest first. Read from the disk: asking by bulkheadctl starts a runtime each time, which
 * many plugins at once, or an emulated machine, have no time for.
 */
export function incidentsOf(plugin: string, since: number): StoredIncident[] {
  const own = new RegExp(`^\\d{8}T\\d{6}-${plugin}-\\d+$`);
  const stored = ids()
    .filter((id) => own.test(id))
    .flatMap((id) => readStored(id) ?? []);
  return stored.filter(({ incident }) => incident.at >= since).sort((one, other) => numberOf(one) - numberOf(other));
}

function numberOf({ incident }: StoredIncident): number {
  return Number(incident.id.slice(incident.id.lastIndexOf('-') + 1));
}

/** Undefined for one that is being removed. */
function readStored(id: string): StoredIncident | undefined {
  try {
    return parseStoredIncident(readFileSync(`${DIRECTORY}/${id}/incident.json`, 'utf8'));
  } catch {
    return undefined;
  }
}

/** All that a verdict says, as one text to look for words in. */
export function wordsOf({ incident }: StoredIncident): string {
  const { text, evidence, excuses } = incident.verdict;
  return [
    text,
    ...evidence.map(({ what, value }) => `${what}: ${value}`),
    ...excuses.map(({ excuse, applies, detail }) => `${excuse}${applies ? '' : ' (no)'}: ${detail}`),
  ].join('\n');
}

/** An incident as somebody who looks for a failed test's reason wants it. */
export function storyOf(stored: StoredIncident): string {
  const { incident, steps, over } = stored;
  const { id, verdict, action, step } = incident;
  return [
    `${id}: ${verdict.class} ${verdict.kind}`,
    wordsOf(stored),
    `=> ${action} (step ${step.index + 1} of ${step.of}: ${step.kind})`,
    ...[...steps, ...(over === null ? [] : [over])].map(({ at, text }) => `+${at - incident.at} ms: ${text}`),
  ].join('\n');
}
