import { runCommandLine } from './control/run.ts';
import { VERBS } from './control/verb-table.ts';
import { RealWorld } from './control/world.ts';
import { systemClock } from './kernel/clock.ts';

const world = new RealWorld(systemClock);
const status = await runCommandLine(process.argv.slice(2), VERBS, world);
await world.release();
// Whatever else is still open must not keep a finished command alive; what was written must still arrive.
process.stdout.write('', () => process.exit(status));
