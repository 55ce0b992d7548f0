import { renderWhy } from '../render/why-view.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb } from '../verb.ts';

export const WHY: Verb = {
  name: 'why',
  summary: 'say why a plugin is as it is, and what to do',
  help: [
    'On one screen: whether the plugin is well and since when, what failed last, what that is concluded from, which harmless explanations were ruled out, what was done about it, and what to do. Times are local.',
    'All evidence of an incident is in its bundle; see "bulkheadctl incidents show ID".',
  ],
  arguments: [PLUGIN],
  options: [JSON_OPTION],
  supervisor: 'needed',
  async run(call, world) {
    const report = await (await world.manager()).why(call.arguments[0] ?? '');
    if (call.flags.has('json')) printJson(world, report);
    else world.out.write(renderWhy(report, world.out));
    return 0;
  },
};
