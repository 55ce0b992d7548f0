import { Variant } from './wire.ts';

/**
 * A property of a unit for StartTransientUnit and SetUnitProperties: name, D-Bus signature, value. The names and
 * types are those of org.freedesktop.systemd1(5), not of unit files (`CPUQuotaPerSecUSec`, not `CPUQuota`); a wrong
 * type is refused by systemd only with "Unexpected message contents". Times are microseconds, sizes bytes,
 * 'infinity' is "no limit". systemd expands no specifiers (`%n`) in values that come this way.
 *
 * Commands: with `no-env-expand` among the flags of an `ExecStartEx` (`a(sasas)`: path, argv, flags) arguments arrive
 * literally; systemd 257 also writes them so into the unit file below /run/systemd/transient. systemd 252 writes a
 * key there that it cannot read itself: after a daemon-reload the unit goes on running, but as 'bad-setting', and
 * SetUnitProperties refuses it. There `ExecStart` (`a(sasb)`) with each `$` doubled does both.
 */
export type Property = readonly [name: string, signature: string, value: unknown];

/** Another unit that is made in the same call: its name and properties. */
export type AuxiliaryUnit = readonly [unit: string, properties: readonly Property[]];

/** The `a(sv)` that systemd wants. */
export function encodeProperties(properties: readonly Property[]): [string, Variant][] {
  return properties.map(([name, signature, value]) => [name, new Variant(signature, value)]);
}

export function encodeAuxiliaryUnits(units: readonly AuxiliaryUnit[]): [string, [string, Variant][]][] {
  return units.map(([unit, properties]) => [unit, encodeProperties(properties)]);
}
