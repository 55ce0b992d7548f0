import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isPluginName } from '../declare/plugin-name.ts';
import { UNIT_SECTION } from '../declare/unit-section.ts';
import { isMask, namesIn } from './directory.ts';

/** Where systemd's system manager looks for unit files, the strongest first (systemd.unit(5)); without generators. */
export const UNIT_DIRECTORIES = [
  '/etc/systemd/system.control',
  '/run/systemd/system.control',
  '/run/systemd/transient',
  '/etc/systemd/system',
  '/run/systemd/system',
  '/usr/local/lib/systemd/system',
  '/usr/lib/systemd/system',
] as const;

/** Whether a unit's text has the section at all; readSections says what is in it. */
export function declaresPlugin(text: string): boolean {
  // In whatever case, so that a slip of it is told instead of being no declaration at all.
  const section = `[${UNIT_SECTION}]`.toLowerCase();
  return text.split('\n').some((line) => line.trim().toLowerCase() === section);
}

/**
 * The unit file of plugin@NAME.service and its drop-ins, in the order in which systemd reads them: the instance's own
 * file before the template's; drop-ins of all directories together by file name, of equal names the strongest.
 */
export function unitFilesOf(name: string, directories: readonly string[]): string[] {
  const instance = `plugin@${name}.service`;
  const template = 'plugin@.service';
  const main = [instance, template]
    .flatMap((unit) => directories.map((directory) => join(directory, unit)))
    .find((path) => existsSync(path));
  const dropIns = new Map<string, string>();
  for (const unit of [instance, template]) {
    for (const directory of directories) {
      const inside = join(directory, `${unit}.d`);
      for (const file of namesIn(inside)) {
        if (file.endsWith('.conf') && !dropIns.has(file)) dropIns.set(file, join(inside, file));
      }
    }
  }
  const sorted = [...dropIns].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path);
  return [...(main === undefined ? [] : [main]), ...sorted].filter((path) => !isMask(path));
}

/** Plugins that have a unit file or drop-ins of their own. */
export function pluginsOfUnits(directories: readonly string[]): string[] {
  const found = directories.flatMap(namesIn).map((entry) => /^plugin@(.+)\.service(?:\.d)?$/.exec(entry)?.[1] ?? '');
  return [...new Set(found)].filter(isPluginName).sort();
}
