import type { Verb } from '../verb.ts';

/** What the shells call to complete a plugin's name: declared names, read from the disk, so that Tab asks no daemon. */
export const COMPLETE: Verb = {
  name: '__complete',
  summary: 'print the names of declared plugins, for shell completion',
  help: [],
  arguments: [],
  options: [],
  supervisor: 'none',
  hidden: true,
  async run(_call, world) {
    const names = await world.declaredNames();
    world.out.write(names.map((name) => `${name}\n`).join(''));
    return 0;
  },
};
