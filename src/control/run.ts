import { asFailure, FAILURES, type Failure } from '../base/failure.ts';
import { nearest } from '../base/nearest.ts';
import { escapeText } from '../base/printable.ts';
import { readCommandLine } from './command-line.ts';
import { type ExitStatus, exitStatusOf } from './exit-status.ts';
import { generalHelp, verbHelp } from './help.ts';
import { requirePluginName } from './plugin-argument.ts';
import { paint } from './render/colour.ts';
import type { Verb, VerbCall, World } from './verb.ts';

/** Runs one command line and returns the exit status. Never throws: every failure is printed to standard error. */
export async function runCommandLine(
  argv: readonly string[],
  verbs: readonly Verb[],
  world: World,
): Promise<ExitStatus> {
  let name: string | undefined;
  try {
    const request = readCommandLine(argv, verbs);
    if ('helpAbout' in request) {
      const { helpAbout } = request;
      const { columns } = world.out;
      world.out.write(helpAbout === undefined ? generalHelp(verbs, columns) : verbHelp(helpAbout, columns));
      return 0;
    }
    checkPluginNames(request.verb, request.call);
    [name] = request.call.arguments;
    return await request.verb.run(request.call, world);
  } catch (thrown) {
    const failure = asFailure(thrown);
    world.err.write(
      `${paint('bulkheadctl:', 'bad', world.err.colour)} ${escapeText(await explain(failure, name, world))}\n`,
    );
    return exitStatusOf(failure.code);
  }
}

/** Before anything else: a name that cannot be one is wrong usage, not a missing plugin. */
function checkPluginNames(verb: Verb, call: VerbCall): void {
  for (const [index, spec] of verb.arguments.entries()) {
    const given = call.arguments[index];
    if (spec.kind === 'plugin' && given !== undefined) requirePluginName(given);
  }
}

/** `BH404 no such plugin: 'x' — did you mean 'y'? …` on one line. */
async function explain(failure: Failure, name: string | undefined, world: World): Promise<string> {
  const meant = failure.code === 'BH404' && name !== undefined ? nearest(name, await knownNames(world)) : undefined;
  const hint = meant === undefined ? '' : `did you mean '${meant}'? `;
  return `${withoutRepetition(failure)} — ${hint}${failure.advice}`;
}

async function knownNames(world: World): Promise<readonly string[]> {
  try {
    return (await (await world.manager()).list()).map((plugin) => plugin.name);
  } catch {
    return world.declaredNames().catch(() => []);
  }
}

/** A message that begins with the catalogue's own words is not given a second time. */
function withoutRepetition(failure: Failure): string {
  const { summary } = FAILURES[failure.code];
  return failure.message.startsWith(summary) ? `${failure.code} ${failure.message}` : failure.line;
}
