import type { IncidentKeeper as Keeper } from '../act/daemon-hands.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { Chronicle } from './chronicle.ts';
import type { IncidentScene, Incidents } from './incidents.ts';

/**
 * Keeps incidents twice: a bundle of evidence on disk, and a line in the journal and for those who watch. What becomes of
 * one is noted by who decides; the bundle has it, too.
 */
export class IncidentKeeper<Kind extends string> implements Keeper {
  readonly #incidents: Incidents;
  readonly #chronicle: Chronicle<Kind | 'incident'>;
  readonly #sceneOf: (unit: string) => IncidentScene | undefined;

  constructor(
    incidents: Incidents,
    chronicle: Chronicle<Kind | 'incident'>,
    sceneOf: (unit: string) => IncidentScene | undefined,
  ) {
    this.#incidents = incidents;
    this.#chronicle = chronicle;
    this.#sceneOf = sceneOf;
  }

  open(decided: Incident): void {
    const scene = decided.unit === undefined ? undefined : this.#sceneOf(decided.unit);
    const opened = this.#incidents.open(decided, scene);
    // Ordered again by a supervisor that does not know how far the one before it came.
    if (opened === undefined) return;
    const { id, plugin, unit, version, verdict, action } = opened;
    this.#chronicle.add({
      kind: 'incident',
      plugin,
      unit,
      code: undefined,
      text: `incident ${id}: ${verdict.class}: ${verdict.text}; ${action}`,
      incident: id,
      class: verdict.class,
      failure: { kind: verdict.kind, version, traceId: verdict.traceIds[0] },
    });
  }

  step(id: string, text: string): void {
    this.#incidents.step(id, text);
  }

  over(id: string, text: string): void {
    this.#incidents.over(id, text);
  }
}
