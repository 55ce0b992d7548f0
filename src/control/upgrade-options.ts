import { formatDuration, parseDuration } from '../base/duration.ts';
import { Failure } from '../base/failure.ts';
import { printable } from '../base/printable.ts';
import { isVersionName } from '../base/version-name.ts';
import type { UpgradeOptions } from './upgrade-api.ts';

/** A stage of a canary is watched for 1 s to a day. */
const SHORTEST_BAKE_MS = 1000;
const LONGEST_BAKE_MS = 86_400_000;
const MOST_STAGES = 20;
/** Of the reason that somebody gives. */
const LONGEST_WHY = 200;

/** Options of UpgradePlugin, a{ss}. */
export function toWire({ canary, bakeMs, force, why }: UpgradeOptions): Record<string, string> {
  return {
    ...(canary === undefined ? {} : { canary: canary.join(',') }),
    ...(bakeMs === undefined ? {} : { bake: formatDuration(bakeMs) }),
    ...(force === true ? { force: 'yes' } : {}),
    ...(why === undefined ? {} : { why }),
  };
}

/** What came over D-Bus, from anybody. @throws Failure BH405 that names what is wrong with it. */
export function fromWire(given: unknown): UpgradeOptions {
  const entries = Object.entries(given as Readonly<Record<string, string>>);
  const known = entries.map(([name, value]): UpgradeOptions => {
    switch (name) {
      case 'canary':
        return { canary: requireCanary(value, 'BH405') };
      case 'bake':
        return { bakeMs: requireBake(value, 'BH405') };
      case 'force':
        if (value !== 'yes' && value !== 'no') throw new Failure('BH405', "'force' is neither 'yes' nor 'no'");
        return { force: value === 'yes' };
      case 'why':
        return { why: requireWhy(value, 'BH405') };
      default:
        throw new Failure('BH405', `there is no option '${printable(name, 32)}'`);
    }
  });
  return Object.assign({}, ...known) as UpgradeOptions;
}

type Code = 'BH401' | 'BH405';

/** `5,25` or `5%,25%`: percents, ascending, 1 to 100. */
export function requireCanary(text: string, code: Code): readonly number[] {
  const words = text.split(',');
  const stages = words.map((word) => (/^\d{1,3}%?$/.test(word) ? Number.parseInt(word, 10) : 0));
  const ascends = stages.every((stage, place) => stage > (stages[place - 1] ?? 0) && stage <= 100);
  if (ascends && stages.length <= MOST_STAGES) return stages;
  throw new Failure(code, `'canary' is not a list of ascending percents from 1 to 100, such as '5,25'`);
}

export function requireBake(text: string, code: Code): number {
  const bakeMs = parseDuration(text);
  if (bakeMs !== undefined && bakeMs >= SHORTEST_BAKE_MS && bakeMs <= LONGEST_BAKE_MS) return bakeMs;
  throw new Failure(code, "'bake' is not a duration from 1s to 1d");
}

/** One line for the audit trail. */
export function requireWhy(text: string, code: Code): string {
  if (text !== '' && text.length <= LONGEST_WHY) return printable(text, LONGEST_WHY);
  throw new Failure(code, `'why' is not a text of 1 to ${LONGEST_WHY} characters`);
}

/** Looked up by those who know what is installed; '' for none. */
export function requireVersion(version: unknown): string {
  if (version === '' || (typeof version === 'string' && isVersionName(version))) return version;
  throw new Failure('BH405', "'version' is not the name of a version");
}
