import { Failure } from '../../base/failure.ts';
import { generalHelp, verbHelp } from '../help.ts';
import type { Verb } from '../verb.ts';

/** Takes the table as a function, because it is part of the table itself. */
export function helpVerb(verbs: () => readonly Verb[]): Verb {
  return {
    name: 'help',
    summary: 'show help about bulkheadctl or one of its verbs',
    help: ['The same as "bulkheadctl VERB --help".'],
    arguments: [{ label: 'VERB', kind: 'verb', required: false, repeated: false }],
    options: [],
    supervisor: 'none',
    async run(call, world) {
      const [name] = call.arguments;
      const verb = verbs().find((each) => each.name === name);
      if (name !== undefined && verb === undefined) throw new Failure('BH401', `unknown verb '${name}'`);
      world.out.write(verb === undefined ? generalHelp(verbs(), world.out.columns) : verbHelp(verb, world.out.columns));
      return 0;
    },
  };
}
