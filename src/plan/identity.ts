import type { Isolation } from '../declare/declaration.ts';
import { isPluginName } from '../declare/plugin-name.ts';
import type { SlotName } from './plan.ts';
import { escapeUnitName, unescapeUnitName } from './unit-name.ts';

/** Host uids and gids that one sandbox owns: as many as a user namespace needs for a whole system. */
export const UID_RANGE_SIZE = 65536;

/**
 * Ranges that there are. Together they cover 0x40000000 to 0x6fffffff, the upper part of what systemd reserves for
 * containers (UIDS-GIDS.md: 524288 to 1879048191); `systemd-nspawn -U` and machinectl begin at the lower end.
 */
export const UID_RANGE_COUNT = 12288;

const UID_RANGE_FIRST = 1073741824;

/** Ids of the payload inside its sandbox; never 0, so that it owns nothing of the user namespace. */
export const PAYLOAD_UID = 1000;
export const PAYLOAD_GID = 1000;

/** First host uid of the range with this index, 0 to UID_RANGE_COUNT - 1. Throws RangeError outside. */
export function uidBaseOf(index: number): number {
  if (!Number.isInteger(index) || index < 0 || index >= UID_RANGE_COUNT) {
    throw new RangeError(`uid range ${index} is not one of 0 to ${UID_RANGE_COUNT - 1}`);
  }
  return UID_RANGE_FIRST + index * UID_RANGE_SIZE;
}

/** The index of the range that begins with this uid, or undefined when none does. */
export function uidRangeIndex(uidBase: number): number | undefined {
  const index = (uidBase - UID_RANGE_FIRST) / UID_RANGE_SIZE;
  return Number.isInteger(index) && index >= 0 && index < UID_RANGE_COUNT ? index : undefined;
}

/**
 * The unit that says "this plugin is wanted". The name is not escaped: all characters of a plugin name are allowed in
 * a unit name, and people type `systemctl start plugin@my-plugin`.
 */
export function anchorUnitName(plugin: string): string {
  return `plugin@${plugin}.service`;
}

/** The plugin of an anchor unit, or undefined when the unit is something else. */
export function parseAnchorUnit(unit: string): string | undefined {
  const plugin = /^plugin@(.+)\.service$/.exec(unit)?.[1];
  return plugin !== undefined && isPluginName(plugin) ? plugin : undefined;
}

/** The slice that holds the plugin's sandboxes. Escaped, because each '-' in a slice's name is a level of its own. */
export function pluginSliceName(plugin: string): string {
  return `plugin-${escapeUnitName(plugin)}.slice`;
}

/** By the type of its unit it is known what made a sandbox. */
const UNIT_SUFFIX = { nspawn: 'service', scope: 'scope' } as const;

/** Patterns (glob(7)) that match all sandbox units, and some others. */
export const SANDBOX_UNIT_PATTERNS = Object.values(UNIT_SUFFIX).map((suffix) => `plugin-*.${suffix}`);

/**
 * `plugin-NAME-a-g17.service` or `.scope`, with NAME escaped, so that it can be parsed back whatever NAME contains.
 * Generations are counted over both.
 */
export function sandboxUnitName(plugin: string, slot: SlotName, generation: number, isolation: Isolation): string {
  return `plugin-${escapeUnitName(plugin)}-${slot}-g${generation}.${UNIT_SUFFIX[isolation]}`;
}

export interface SandboxUnit {
  readonly plugin: string;
  readonly slot: SlotName;
  readonly generation: number;
  readonly isolation: Isolation;
}

const SANDBOX_UNIT = /^plugin-([^-]+)-([ab])-g([1-9][0-9]{0,14}|0)\.(service|scope)$/;

/** What a sandbox's unit name says, or undefined when it is not exactly one that `sandboxUnitName` makes. */
export function parseSandboxUnit(unit: string): SandboxUnit | undefined {
  const [, escaped = '', slot, digits, suffix] = SANDBOX_UNIT.exec(unit) ?? [];
  const plugin = unescapeUnitName(escaped);
  if (plugin === undefined || !isPluginName(plugin) || escapeUnitName(plugin) !== escaped) return undefined;
  const isolation = suffix === UNIT_SUFFIX.scope ? 'scope' : 'nspawn';
  return { plugin, slot: slot === 'b' ? 'b' : 'a', generation: Number(digits), isolation };
}

/**
 * Machine and host name of a sandbox: unique on the host, because nspawn refuses a machine name whose last owner was
 * killed hard, and valid as a host name of at most 64 characters. Host names know no '_' and no '.' beside a '-': these
 * become 'U' and 'D', which no plugin name contains, so two plugins never share a machine name.
 */
export function machineName(plugin: string, slot: SlotName, generation: number): string {
  const label = plugin
    .replaceAll('_', 'U')
    .replace(/\.(?=-)/g, 'D')
    .replace(/(?<=-)\./g, 'D');
  return `${label}-${slot}-g${generation}`;
}
