import { Failure } from '../base/failure.ts';
import { whyNotPluginName } from '../declare/plugin-name.ts';
import { isIncidentId } from '../record/stored-incident.ts';

/** The name, or Failure BH109 that says what is wrong with it. Names come from outside: check them before all else. */
export function requirePluginName(name: unknown): string {
  if (typeof name !== 'string') throw new Failure('BH109', 'it is not a string');
  const why = whyNotPluginName(name);
  if (why === undefined) return name;
  throw new Failure('BH109', `${JSON.stringify(name.slice(0, LONGEST_SHOWN))}: ${why}`);
}

/** An incident's id, or Failure BH408: whatever else was given, there is no such incident. */
export function requireIncidentId(id: unknown): string {
  if (typeof id === 'string' && isIncidentId(id)) return id;
  throw new Failure('BH408', JSON.stringify(String(id).slice(0, LONGEST_SHOWN)));
}

/** Longer rubbish is not repeated in the message. */
const LONGEST_SHOWN = 64;
