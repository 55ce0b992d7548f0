import { isWanted } from '../act/anchor-units.ts';
import type { Supervisor } from '../act/supervisor.ts';
import { parseAnchorUnit } from '../plan/identity.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { UnitEvent } from '../systemd/unit-events.ts';

/** What systemd tells of units, to where it belongs. */
export function route(
  event: UnitEvent,
  supervisor: Supervisor,
  sandboxes: Sandboxes,
  guard: (work: Promise<void>) => void,
): void {
  const plugin = parseAnchorUnit(event.unit);
  if (event.kind === 'job') return;
  const { activeState = '', subState = '' } = event.kind === 'changed' ? event.state : { activeState: 'inactive' };
  const gone = activeState === 'inactive' || activeState === 'failed';
  if (plugin === undefined) {
    if (gone) sandboxes.unitNotThere(event.unit);
    if (activeState === 'active') sandboxes.unitActive(event.unit);
    return;
  }
  const wanted = isWanted({ plugin, activeState, subState, invocation: '', automaticRestarts: 0 });
  if (!wanted && gone) guard(supervisor.anchorGone(plugin));
  // A failed unit stays 'failed' until it is reset or started.
  if (activeState === 'inactive') supervisor.loops.get(plugin)?.observe({ kind: 'forgiven' });
}
