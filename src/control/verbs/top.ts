import type { Owned } from '../../base/clock.ts';
import { Failure } from '../../base/failure.ts';
import type { LoadReport } from '../api.ts';
import type { Manager } from '../manager.ts';
import { renderTop } from '../render/top-view.ts';
import { JSON_OPTION, type Verb, type VerbCall, type World } from '../verb.ts';

const USUAL_EVERY_S = 2;
const LONGEST_EVERY_S = 3600;
/** Requests a second need two looks; for one answer, that far apart. */
const PAUSE_MS = 1000;

/** Cursor to the top left corner; from the cursor to the end of the screen (ECMA-48, console_codes(4)). */
const HOME = '\u001b[H';
const CLEAR_REST = '\u001b[J';

export const TOP: Verb = {
  name: 'top',
  summary: 'show what all sandboxes use, again and again',
  help: [
    'One line for each sandbox, the busiest first: CPU in percent of one, memory of its processes, threads, open files of the process that has the most, requests in hand, done and failed each second (of programs that write an activity page), the health score of its seat in the pool, what is wrong with it, whether it gets connections ("open", "held" as a standby, "shut"; "-" when it always does), and the incidents of its plugin within the last day. The figures are those of the last heartbeat (health.heartbeat); asking for them costs the sandboxes nothing.',
    'Ends with Ctrl-C. When standard output is not a terminal, and with --once, it prints one table and ends. With --json it prints a report a line, or one with --once.',
  ],
  arguments: [],
  options: [
    JSON_OPTION,
    { name: 'once', kind: 'flag', summary: 'print it once and end' },
    { name: 'every', kind: 'count', label: 'N', summary: `seconds between two looks (${USUAL_EVERY_S})` },
  ],
  supervisor: 'needed',
  run,
};

async function run(call: VerbCall, world: World): Promise<0> {
  const every = call.counts.get('every') ?? USUAL_EVERY_S;
  if (every < 1 || every > LONGEST_EVERY_S)
    throw new Failure('BH401', `'--every' is not from 1 to ${LONGEST_EVERY_S}`, {
      advice: 'see "bulkheadctl top --help"',
    });
  const manager = await world.manager();
  const json = call.flags.has('json');
  if (call.flags.has('once') || !(json || world.out.interactive)) await once(manager, world, json);
  else await again(manager, world, every * 1000, json);
  return 0;
}

async function once(manager: Manager, world: World, json: boolean): Promise<void> {
  const before = await manager.load();
  if (json) return world.out.write(`${JSON.stringify(before)}\n`);
  await pause(world, PAUSE_MS);
  world.out.write(renderTop(await manager.load(), before, world.out));
}

async function again(manager: Manager, world: World, everyMs: number, json: boolean): Promise<void> {
  const interrupted = world.interrupted().then(() => 'interrupted' as const);
  let before: LoadReport | undefined;
  for (;;) {
    const report = await manager.load();
    if (json) world.out.write(`${JSON.stringify(report)}\n`);
    else world.out.write(screen(renderTop(report, before, world.out), world.out.rows));
    before = report;
    if ((await Promise.race([interrupted, pause(world, everyMs)])) === 'interrupted') return;
  }
}

/** As much as there is room for, each line cleared to its end, so that nothing flickers. */
function screen(text: string, rows: number): string {
  const lines = text.split('\n').slice(0, rows - 1);
  return `${HOME}${lines.map((line) => `${line}\u001b[K`).join('\n')}\n${CLEAR_REST}`;
}

function pause(world: World, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer: Owned = world.clock.after(ms, () => {
      timer.release();
      resolve();
    });
  });
}
