import { renderList } from '../render/list-view.ts';
import { JSON_OPTION, printJson, type Verb } from '../verb.ts';

export const LIST: Verb = {
  name: 'list',
  summary: 'list the plugins and their states',
  help: [
    'Shows every plugin that is declared or running: its state, how many of its sandboxes are ready, its version, and one line of truth, or the reason when something is wrong.',
  ],
  arguments: [],
  options: [JSON_OPTION],
  supervisor: 'needed',
  async run(call, world) {
    const plugins = await (await world.manager()).list();
    if (call.flags.has('json')) printJson(world, plugins);
    else world.out.write(renderList(plugins, world.out));
    return 0;
  },
};
