import { CallError, connect } from '../../src/rpc/client/client.ts';

/**
 * Calls a plugin of the example call-python until SIGTERM: eight callers who may be repeated, two who may not. Prints
 * `calling` when the first answers have come, and at the end one line `OK FAILED OTHER_OK OTHER_FAILED UNNAMED`: calls that
 * may be repeated, well and not, the others, and those of all that failed without naming an incident.
 */
const plugin = connect(process.argv[2] ?? '', { name: 'demo', idempotent: ['find'] });
const FIRST_ANSWERS = 50;
const THINK_MS = 3;
const WORK_S = 0.1;

const made = { find: [0, 0], count: [0, 0] };
let unnamed = 0;
let going = true;

async function caller(method: keyof typeof made, ask: () => Promise<unknown>): Promise<void> {
  while (going) {
    try {
      await ask();
      made[method][0] = (made[method][0] ?? 0) + 1;
    } catch (error) {
      made[method][1] = (made[method][1] ?? 0) + 1;
      if (!(error instanceof CallError) || error.incident === undefined) unnamed += 1;
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
    if (made.find[0] === FIRST_ANSWERS) process.stdout.write('calling\n');
    await new Promise((resolve) => setTimeout(resolve, THINK_MS));
  }
}

async function find(): Promise<void> {
  for await (const _note of plugin.stream('find', ['milk'], { resume: () => ['milk'] }));
}

const callers = [
  ...Array.from({ length: 8 }, () => caller('find', find)),
  ...Array.from({ length: 2 }, () => caller('count', () => plugin.call('count', [WORK_S]))),
];
process.once('SIGTERM', async () => {
  going = false;
  await Promise.all(callers);
  process.stdout.write(`${[...made.find, ...made.count, unnamed].join(' ')}\n`);
  await plugin.close();
});
