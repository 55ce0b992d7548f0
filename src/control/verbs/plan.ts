import { asFailure } from '../../base/failure.ts';
import type { PlanReport } from '../api.ts';
import { renderPlan } from '../render/plan-view.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb, type World } from '../verb.ts';

export const PLAN: Verb = {
  name: 'plan',
  summary: 'show everything that a plugin consists of, and where it came from',
  help: [
    'Shows the units, properties, mounts, sockets, filter and command of a plugin, each value with the file and line that it came from, and how what runs now differs from it. Nothing is done that the plan does not show.',
    'When the supervisor does not answer, the plan is made from the declaration alone; the last section then says that nothing was compared ("compared" is false in JSON).',
  ],
  arguments: [PLUGIN],
  options: [JSON_OPTION],
  supervisor: 'asked',
  async run(call, world) {
    const report = await planOf(call.arguments[0] ?? '', world);
    if (call.flags.has('json')) printJson(world, report);
    else world.out.write(renderPlan(report, world.out));
    return 0;
  },
};

async function planOf(name: string, world: World): Promise<PlanReport> {
  try {
    return await (await world.manager()).plan(name);
  } catch (thrown) {
    if (asFailure(thrown).code !== 'BH402') throw thrown;
    return world.planOffline(name);
  }
}
