import { statSync } from 'node:fs';
import type { Clock, Owned } from '../base/clock.ts';
import { anchorUnitName } from '../plan/identity.ts';

/** Where `systemctl set-property` writes; systemd sends no signal for it. */
const DIRECTORIES = ['/etc/systemd/system.control', '/run/systemd/system.control'];

/** A change of a limit by hand need not be seen at once; ms. */
const LOOK_EVERY_MS = 2000;

/**
 * Tells which anchors got other settings by `systemctl set-property`. Looks at the times of their drop-in directories:
 * two stat(2) a plugin, some microseconds.
 */
export function watchAnchorDropIns(
  clock: Clock,
  plugins: () => Iterable<string>,
  changed: (plugin: string) => void,
): Owned {
  const times = new Map<string, string>();
  let timer: Owned;
  const look = (): void => {
    for (const plugin of plugins()) {
      const now = timesOf(plugin);
      // The first look is a change, too: somebody may have been quicker than it.
      if (times.get(plugin) !== now) changed(plugin);
      times.set(plugin, now);
    }
    timer = clock.after(LOOK_EVERY_MS, look);
  };
  timer = clock.after(LOOK_EVERY_MS, look);
  return { release: () => timer.release() };
}

function timesOf(plugin: string): string {
  const directories = DIRECTORIES.map((directory) => `${directory}/${anchorUnitName(plugin)}.d`);
  return directories.map((path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0).join(' ');
}
