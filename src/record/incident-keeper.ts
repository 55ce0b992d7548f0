import type { IncidentKeeper as Keeper } from '../act/daemon-hands.ts';
import type { Incident } from '../diagnose/incident.ts';
import type { Chronicle, IncidentWords } from './chronicle.ts';
import type { IncidentScene, Incidents } from './incidents.ts';

/** What happens to incidents, as the chronicle knows it. */
type IncidentEvent = 'incident' | 'incident-step' | 'incident-over';

/** Keeps incidents twice: a bundle of evidence on disk, and lines in the journal and for those who watch. */
export class IncidentKeeper<Kind extends string> implements Keeper {
  readonly #incidents: Incidents;
  readonly #chronicle: Chronicle<Kind | IncidentEvent>;
  readonly #sceneOf: (unit: string) => IncidentScene | undefined;

  constructor(
    incidents: Incidents,
    chronicle: Chronicle<Kind | IncidentEvent>,
    sceneOf: (unit: string) => IncidentScene | undefined,
  ) {
    this.#incidents = incidents;
    this.#chronicle = chronicle;
    this.#sceneOf = sceneOf;
  }

  open(incident: Incident): void {
    const { unit, verdict, action } = incident;
    this.#incidents.open(incident, unit === undefined ? undefined : this.#sceneOf(unit));
    this.#tell('incident', incident, `${verdict.class}: ${verdict.text}; ${action}`);
  }

  step(id: string, text: string): void {
    this.#incidents.step(id, text);
    const incident = this.#incidents.read(id)?.stored.incident;
    if (incident !== undefined) this.#tell('incident-step', incident, text);
  }

  over(id: string, text: string): void {
    this.#incidents.over(id, text);
    const incident = this.#incidents.read(id)?.stored.incident;
    if (incident !== undefined) this.#tell('incident-over', incident, text);
  }

  #tell(kind: IncidentEvent, incident: Incident, text: string): void {
    const { id, plugin, unit } = incident;
    this.#chronicle.add({
      kind,
      plugin,
      unit,
      code: undefined,
      text: `incident ${id}: ${text}`,
      incident: wordsOf(incident),
    });
  }
}

function wordsOf({ id, version, verdict }: Incident): IncidentWords {
  return { id, class: verdict.class, kind: verdict.kind, version, traceId: verdict.traceIds[0] };
}
