import type { LimitInForce } from '../../audit/limits-in-force.ts';
import { formatBytes } from '../../base/bytes.ts';
import type { PluginStatus } from '../api.ts';

/** Limits that are in bytes. */
const BYTES = ['memory', 'memory-high', 'swap'];

/** What holds for the plugin as a whole and for each of its sandboxes; then whatever is not simply as declared. */
export function limitLines({ limits: slice, sandboxes }: PluginStatus): string[] {
  const [first] = sandboxes.filter(({ limits }) => limits.length > 0);
  if (first === undefined) return [];
  const lines = [`in all ${summary(slice)}`, `each ${summary(first.limits)}`];
  for (const { unit, limits } of [{ unit: 'in all', limits: slice }, ...sandboxes])
    lines.push(...limits.filter(isOdd).map((limit) => `${unit}: ${oddity(limit)}`));
  const idle = first.limits.filter((each) => isAsked(each) && each.inForce === null);
  if (idle.length > 0) lines.push(`NOT ENFORCED on this host: ${idle.map(({ limit }) => limit).join(', ')}`);
  return lines;
}

/** As declared; those without a limit are left out, and so are weights, which limit nothing. */
function summary(limits: readonly LimitInForce[]): string {
  const given = limits.filter(({ limit, declared }) => declared !== 'infinity' && !limit.endsWith('weight'));
  return given.length === 0
    ? 'no limits'
    : given.map((each) => `${each.limit} ${text(each, each.declared)}`).join(', ');
}

/** All have the same weight by themselves. */
function isAsked({ limit, declared }: LimitInForce): boolean {
  return declared !== 'infinity' && !(limit.endsWith('weight') && declared === 100);
}

function isOdd({ declared, asked, inForce }: LimitInForce): boolean {
  return asked !== declared || (inForce !== null && inForce !== asked);
}

function oddity(each: LimitInForce): string {
  const { limit, declared, asked, inForce, from } = each;
  const who = from === 'declaration' ? '' : ` by ${from}`;
  const holds = inForce === null ? 'not enforced' : `in force ${text(each, inForce)}`;
  return `${limit} declared ${text(each, declared)}, asked ${text(each, asked)}${who}, ${holds}`;
}

function text({ limit }: LimitInForce, value: number | 'infinity' | null): string {
  if (value === null) return 'nothing';
  if (value === 'infinity') return 'infinity';
  if (limit === 'cpu') return `${value / 10_000}%`;
  const isBytes = BYTES.includes(limit) || /^io .* (?:read|write)$/.test(limit);
  return isBytes && value > 0 ? formatBytes(value) : String(value);
}
