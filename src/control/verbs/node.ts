import { renderNode } from '../render/node-view.ts';
import { JSON_OPTION, printJson, type Verb } from '../verb.ts';

export const NODE: Verb = {
  name: 'node',
  summary: 'show the health of this node',
  help: [
    'Shows what the supervisor saw when it last looked at the node: temperature, memory, load and GPUs, each beside the threshold of bulkhead.yaml(5). Above one, for some looks in a row, plugins take the step of recovery.hardware.',
    'The exit status is 1 while something is above its threshold, and 0 otherwise, also when something could not be seen.',
  ],
  arguments: [],
  options: [JSON_OPTION],
  supervisor: 'needed',
  async run(call, world) {
    const report = await (await world.manager()).node();
    if (call.flags.has('json')) printJson(world, report);
    else world.out.write(renderNode(report, Date.now(), world.out));
    return report.troubles.length > 0 ? 1 : 0;
  },
};
