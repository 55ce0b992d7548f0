import { OPTIONAL_PLUGIN, type Verb } from '../verb.ts';

/** What the shells call to complete names of plugins and of their versions: read from the disk, so that Tab asks no daemon. */
export const COMPLETE: Verb = {
  name: '__complete',
  summary: 'print the names of declared plugins, or the installed versions of one, for shell completion',
  help: [],
  arguments: [OPTIONAL_PLUGIN],
  options: [],
  supervisor: 'none',
  hidden: true,
  async run(call, world) {
    const [plugin] = call.arguments;
    const names = plugin === undefined ? await world.declaredNames() : await world.installedVersions(plugin);
    world.out.write(names.map((name) => `${name}\n`).join(''));
    return 0;
  },
};
