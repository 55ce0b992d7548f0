import type { FailureClass } from '../../src/base/failure-class.ts';
import type { Incident } from '../../src/diagnose/incident.ts';
import { incidentId } from '../../src/diagnose/incident.ts';

/** 2026-11-25T21:34:00Z. */
export const INCIDENT_AT = Date.UTC(2026, 10, 25, 21, 34);

/** An incident as one would be decided on: the first of 'hello' unless said otherwise. */
export function exampleIncident(number = 1, also: Partial<Incident> = {}, failure: FailureClass = 'hang'): Incident {
  const plugin = also.plugin ?? 'hello';
  const at = also.at ?? INCIDENT_AT;
  return {
    id: incidentId(plugin, number, at),
    plugin,
    version: 'v1',
    unit: `plugin-${plugin}-a-g${number}.service`,
    generation: number,
    slot: 'a',
    at,
    verdict: {
      class: failure,
      kind: 'blocked',
      confidence: 0.9,
      text: "request 'embed' has been in read(2) of a pipe for 12 s, its deadline was 5 s",
      evidence: [{ what: 'system call', value: 'read' }],
      excuses: [{ excuse: 'frozen', applies: false, detail: 'it is not' }],
      traceIds: ['0123456789abcdef0123456789abcdef'],
    },
    action: `start g${number + 1}`,
    step: { index: 0, of: 2, kind: 'replace' },
    ...also,
  };
}
