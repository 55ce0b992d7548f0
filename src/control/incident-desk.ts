import type { Supervisor as Plugins } from '../act/supervisor.ts';
import type { Clock } from '../base/clock.ts';
import { FAILURES, Failure } from '../base/failure.ts';
import { explain, type FailureClass } from '../base/failure-class.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { inLife, inTraffic } from '../decide/plugin-state.ts';
import type { Incidents } from '../record/incidents.ts';
import { readEvidence } from '../record/read-evidence.ts';
import type { StoredIncident } from '../record/stored-incident.ts';
import type { PluginSummary } from './api.ts';
import type { IncidentReport, IncidentStory, IncidentSummary, WhyReport } from './incident-api.ts';

export interface IncidentDeskParts {
  readonly clock: Clock;
  /** Wall clock, ms since 1970. */
  readonly wall: () => number;
  readonly plugins: Plugins;
  readonly incidents: Incidents;
}

/** What `lately` means. */
const DAY_MS = 86_400_000;
/** Enough for a day of crash loops; those beyond are not counted. */
const MOST_LATELY = 1000;

/** Answers questions about what failed, and carries out what people decide about it. */
export class IncidentDesk {
  readonly #parts: IncidentDeskParts;

  constructor(parts: IncidentDeskParts) {
    this.#parts = parts;
  }

  /** Newest first; of all plugins for ''. */
  list(plugin: string, most: number): Promise<readonly IncidentSummary[]> {
    return this.#parts.incidents.list(plugin === '' ? undefined : plugin, most);
  }

  /** Number of incidents of the last day, by plugin. */
  async lately(): Promise<ReadonlyMap<string, number>> {
    const { incidents, wall } = this.#parts;
    const counts = new Map<string, number>();
    for (const { plugin, at } of await incidents.list(undefined, MOST_LATELY))
      if (wall() - at < DAY_MS) counts.set(plugin, (counts.get(plugin) ?? 0) + 1);
    return counts;
  }

  /** @throws Failure BH408 */
  show(id: string): IncidentReport {
    const found = this.#parts.incidents.read(id);
    if (found === undefined) throw new Failure('BH408', `'${id}'`);
    const { stored, bundle, files } = found;
    return { ...story(stored), directory: bundle.directory, files, ...readEvidence(bundle) };
  }

  async why(summary: PluginSummary, changes: Pick<WhyReport, 'upgrade' | 'lastUpgrade'>): Promise<WhyReport> {
    const { plugins, incidents, wall } = this.#parts;
    const { name, state, line, reason } = summary;
    const all = await incidents.list(name, MOST_LATELY);
    const [newest, ...others] = all;
    const last = newest === undefined ? undefined : incidents.read(newest.id)?.stored;
    const lately = others.filter(({ at }) => wall() - at < DAY_MS);
    const own = plugins.loops.get(name)?.state;
    return {
      name,
      state,
      line,
      reason:
        reason === null ? null : { ...reason, advice: FAILURES[reason.code].advice.replaceAll(/\bNAME\b/g, name) },
      wellForMs: own === undefined ? null : this.#wellFor(own),
      quarantined: own?.quarantined ?? false,
      last: last === undefined ? null : story(last),
      lately: countByClass(lately),
      ...changes,
    };
  }

  /** Lets the plugin out of quarantine, and gives up what was kept frozen of it. @throws Failure BH409 */
  release(name: string, by: string): void {
    const loop = this.#parts.plugins.loops.get(name);
    if (loop === undefined || !(loop.state.quarantined || inLife(loop.state, 'frozen').length > 0))
      throw new Failure('BH409', `'${name}'`);
    loop.observe({ kind: 'released', by });
  }

  /** Replaces all sandboxes, one after the other, the new one first. @throws Failure BH410 when nothing runs. */
  recycle(name: string, by: string): void {
    const loop = this.#parts.plugins.loops.get(name);
    if (loop?.state.phase !== 'on') throw new Failure('BH410', `'${name}'`);
    loop.observe({ kind: 'recycle-asked', by });
  }

  #wellFor(state: PluginState): number | null {
    const ready = inTraffic(state);
    if (state.plan === undefined || ready.length < state.plan.size || state.phase !== 'on') return null;
    const since = Math.max(...ready.map(({ readyAt }) => readyAt ?? 0));
    return Math.round(this.#parts.clock.now() - since);
  }
}

function story({ incident, steps, over, evidence, missing }: StoredIncident): IncidentStory {
  const { plugin, verdict } = incident;
  return { incident, steps, over, evidence, missing, ...explain(verdict.class, verdict.kind, plugin) };
}

function countByClass(incidents: readonly IncidentSummary[]): { class: FailureClass; count: number }[] {
  const counts = new Map<FailureClass, number>();
  for (const each of incidents) counts.set(each.class, (counts.get(each.class) ?? 0) + 1);
  return [...counts].map(([name, count]) => ({ class: name, count })).sort((one, other) => other.count - one.count);
}
