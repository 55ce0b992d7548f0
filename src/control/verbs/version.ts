import { asFailure } from '../../base/failure.ts';
import { JSON_OPTION, printJson, type Verb, type World } from '../verb.ts';
import { VERSION } from '../version.ts';

export const VERSION_VERB: Verb = {
  name: 'version',
  summary: 'show the versions of bulkheadctl and of the running supervisor',
  help: ['They differ between an upgrade of the package and the restart of the supervisor.'],
  arguments: [],
  options: [JSON_OPTION],
  supervisor: 'asked',
  async run(call, world) {
    const running = await runningVersion(world);
    if (call.flags.has('json')) printJson(world, { bulkheadctl: VERSION, bulkheadd: running });
    else world.out.write(`bulkheadctl ${VERSION}\nbulkheadd ${running ?? 'does not answer'}\n`);
    return 0;
  },
};

async function runningVersion(world: World): Promise<string | null> {
  try {
    return await (await world.manager()).version();
  } catch (thrown) {
    if (asFailure(thrown).code !== 'BH402') throw thrown;
    return null;
  }
}
