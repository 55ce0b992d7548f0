import { writeFileSync } from 'node:fs';
import { parseDuration } from '../../base/duration.ts';
import { Failure } from '../../base/failure.ts';
import { renderLearned } from '../render/learn-view.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb, type VerbCall, type World } from '../verb.ts';

const DEFAULT_MS = 30_000;
const LONGEST_MS = 600_000;

export const LEARN: Verb = {
  name: 'learn',
  summary: 'see what a plugin calls, and propose a seccomp profile',
  help: [
    'Starts one more sandbox of a running plugin, beside its pool, in which init notes every system call, with the argument where it matters (socket families, flags of clone, requests of ioctl and the like). It takes its share of new connections (those that are open stay where they are), so let the plugin have the work that it has in real life, the rare kinds, too. After the time the sandbox is stopped; the pool goes on all the while.',
    'While it learns, the sandbox is held to what any of the shipped profiles allows, and to what the declaration grants it with "allow" and "programs". Whatever else it calls is refused with EPERM instead of ending it, and told. All its other walls are as ever. Calls take longer, because each of them waits for init; a signal whose handler was set without SA_RESTART can make a call fail with EINTR that otherwise would not.',
    'What is told: lines of its filter that it did not use, calls that its filter does not allow, and calls that were refused. With --output the proposed list is written into a new file; put into /etc/bulkhead/seccomp as NAME.list, "seccomp: NAME" uses it. Read it first: a call that was not made in that time ends the plugin later.',
    'Needs the right to control plugins.',
  ],
  arguments: [PLUGIN],
  options: [
    { name: 'for', kind: 'text', label: 'TIME', summary: 'how long, from 1s to 10min; 30s unless given' },
    { name: 'output', short: 'o', kind: 'file', label: 'FILE', summary: 'write the proposed list into this new file' },
    JSON_OPTION,
  ],
  supervisor: 'needed',
  run,
};

async function run(call: VerbCall, world: World): Promise<0> {
  const forMs = readTime(call.texts.get('for'));
  const output = call.texts.get('output');
  const agent = await world.passwordAgent();
  try {
    const report = await (await world.manager()).learn(call.arguments[0] ?? '', forMs / 1000);
    if (output !== undefined) save(output, report.list);
    if (call.flags.has('json')) printJson(world, report);
    else world.out.write(renderLearned(report, output));
    return 0;
  } finally {
    agent.release();
  }
}

function readTime(text: string | undefined): number {
  const ms = text === undefined ? DEFAULT_MS : parseDuration(text);
  if (ms !== undefined && ms >= 1000 && ms <= LONGEST_MS) return ms;
  throw new Failure('BH401', `'--for' needs a time from 1s to 10min, not '${text}'`);
}

/** A new file: a list that is in use is not to be written over by accident. */
function save(file: string, list: string): void {
  try {
    writeFileSync(file, list, { mode: 0o644, flag: 'wx' });
  } catch (error) {
    throw new Failure('BH601', `'${file}' cannot be written: ${(error as Error).message}`, { cause: error });
  }
}
