import { parseArgs } from 'node:util';
import { Failure } from '../base/failure.ts';
import { nearest } from '../base/nearest.ts';
import type { OptionSpec, Verb, VerbCall } from './verb.ts';

/** What a command line asks for: a verb to run, or help about one (or about all). */
export type Request = { readonly verb: Verb; readonly call: VerbCall } | { readonly helpAbout: Verb | undefined };

const HELP: OptionSpec = { name: 'help', short: 'h', kind: 'flag', summary: 'show this help' };

/** Reads the arguments after the program's name. Throws Failure BH401 that names the word it does not understand. */
export function readCommandLine(argv: readonly string[], verbs: readonly Verb[]): Request {
  const at = argv.findIndex((word) => !word.startsWith('-'));
  const name = at < 0 ? undefined : argv[at];
  if (name === undefined) return withoutVerb(argv, verbs);
  const verb = verbs.find((each) => each.name === name);
  if (verb === undefined)
    throw unknownWord(
      'verb',
      name,
      verbs.filter((each) => !each.hidden).map((each) => each.name),
    );
  // Flags may stand before the verb (`bulkheadctl --json list`), values may not: they would be taken for the verb.
  const rest = [...argv.slice(0, at), ...argv.slice(at + 1)];
  return readVerb(verb, rest);
}

function withoutVerb(argv: readonly string[], verbs: readonly Verb[]): Request {
  const unknown = argv.find((word) => !['--help', '-h', '--version'].includes(word));
  if (unknown !== undefined) throw unknownWord('option', unknown, ['--help', '--version']);
  const version = verbs.find((verb) => verb.name === 'version');
  if (argv[0] === '--version' && version !== undefined) return readVerb(version, []);
  if (argv.length > 0) return { helpAbout: undefined };
  throw new Failure('BH401', 'no verb given');
}

function readVerb(verb: Verb, words: readonly string[]): Request {
  const specs = [...verb.options, HELP];
  const { tokens } = parseArgs({
    args: [...words],
    options: Object.fromEntries(specs.map((spec) => [spec.name, parserOption(spec)])),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const positionals: string[] = [];
  const flags = new Set<string>();
  const counts = new Map<string, number>();
  const texts = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = specs.find((each) => each.name === token.name);
    if (spec === undefined)
      throw unknownWord(
        'option',
        token.rawName,
        specs.map((each) => `--${each.name}`),
      );
    if (spec.kind === 'flag') {
      if (token.value !== undefined) throw new Failure('BH401', `'--${spec.name}' takes no value`);
      flags.add(spec.name);
    } else if (spec.kind === 'count') counts.set(spec.name, readCount(spec, token.value));
    else texts.set(spec.name, readText(spec, token.value));
  }
  if (flags.has('help')) return { helpAbout: verb };
  checkArguments(verb, positionals);
  return { verb, call: { arguments: positionals, flags, counts, texts } };
}

function parserOption(spec: OptionSpec) {
  const type = spec.kind === 'flag' ? ('boolean' as const) : ('string' as const);
  return spec.short === undefined ? { type } : { type, short: spec.short };
}

function readCount(spec: OptionSpec, value: string | undefined): number {
  if (value !== undefined && /^\d{1,15}$/.test(value)) return Number(value);
  throw new Failure('BH401', `'--${spec.name}' needs a whole number${value === undefined ? '' : `, not '${value}'`}`);
}

function readText(spec: OptionSpec, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw new Failure('BH401', `'--${spec.name}' needs a value`);
}

function checkArguments(verb: Verb, given: readonly string[]): void {
  const required = verb.arguments.filter((each) => each.required).length;
  const missing = verb.arguments[given.length];
  if (given.length < required && missing !== undefined) {
    throw new Failure('BH401', `'${verb.name}' needs ${missing.label}`, {
      advice: `see "bulkheadctl ${verb.name} --help"`,
    });
  }
  const unlimited = verb.arguments.some((each) => each.repeated);
  if (!unlimited && given.length > verb.arguments.length) {
    throw new Failure('BH401', `'${verb.name}' does not take '${given[verb.arguments.length]}'`, {
      advice: `see "bulkheadctl ${verb.name} --help"`,
    });
  }
}

function unknownWord(what: 'verb' | 'option', word: string, known: readonly string[]): Failure {
  const meant = nearest(word, known);
  const advice = meant === undefined ? {} : { advice: `did you mean '${meant}'?` };
  return new Failure('BH401', `unknown ${what} '${word}'`, advice);
}
