import type { Declaration } from '../declare/declaration.ts';
import type { Gate } from './plan.ts';

/** Whether a plugin's sandboxes are to be without traffic at times, while they run; all others are spared the gate. */
export function isGated({ pool, health }: Pick<Declaration, 'pool' | 'health'>): boolean {
  return pool.standby > 0 || health.readiness !== undefined;
}

/**
 * How the gate of a sandbox stands when it starts: a standby waits to be promoted, and whoever is asked whether it is
 * ready, for its first answer.
 */
export function firstGate(declaration: Pick<Declaration, 'pool' | 'health'>, standby: boolean): Gate | undefined {
  if (!isGated(declaration)) return undefined;
  return standby || declaration.health.readiness !== undefined ? 'held' : 'open';
}

/** Whether its payload takes connections itself, so that its filter has to ask; else the adapter alone has a gate. */
export function asksBeforeAccept(declaration: Pick<Declaration, 'pool' | 'health' | 'listen'>): boolean {
  return isGated(declaration) && declaration.listen.some(({ to }) => to === undefined);
}

/** Whether it is the name of a state that a gate can be in. */
export function isGate(value: unknown): value is Gate {
  return value === 'open' || value === 'held' || value === 'shut';
}
