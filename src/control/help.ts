import { EXIT_STATUS } from './exit-status.ts';
import { wrap } from './render/width.ts';
import type { OptionSpec, Verb } from './verb.ts';

const INDENT = 2;
const WIDEST = 80;

/** `bulkheadctl --help`. */
export function generalHelp(verbs: readonly Verb[], columns: number): string {
  const shown = verbs.filter((verb) => !verb.hidden);
  const width = Math.min(columns, WIDEST);
  return [
    'bulkheadctl [OPTIONS…] VERB [ARGUMENTS…]\n\nLook at and control the plugins that bulkhead supervises.\n',
    `Verbs:\n${entries(
      shown.map((verb) => [synopsis(verb), verb.summary]),
      width,
    )}`,
    `Options:\n${entries(
      [
        ['-h, --help', 'show this help; after a verb, help about the verb'],
        ['--version', 'show the versions'],
      ],
      width,
    )}`,
    `Exit status:\n${entries(
      EXIT_STATUS.map(({ status, meaning }) => [String(status), meaning]),
      width,
    )}`,
    'See bulkheadctl(1), bulkhead-plugin(5).\n',
  ].join('\n');
}

/** `bulkheadctl VERB --help`. */
export function verbHelp(verb: Verb, columns: number): string {
  const width = Math.min(columns, WIDEST);
  const options: [string, string][] = [...verb.options.map(optionEntry), ['-h, --help', 'show this help']];
  const paragraphs = verb.help.map((paragraph) => `${wrap(paragraph, width).join('\n')}\n`);
  return [
    `bulkheadctl ${synopsis(verb)} [OPTIONS…]\n\n${verb.summary}\n`,
    ...paragraphs,
    `Options:\n${entries(options, width)}`,
  ].join('\n');
}

/** `status [NAME]`, `check [NAME|FILE…]`. */
export function synopsis(verb: Verb): string {
  const words = verb.arguments.map((each) => {
    const label = each.repeated ? `${each.label}…` : each.label;
    return each.required ? label : `[${label}]`;
  });
  return [verb.name, ...words].join(' ');
}

/** `-n, --lines=N` and its summary. */
export function optionEntry(option: OptionSpec): [string, string] {
  const long = option.kind === 'flag' ? `--${option.name}` : `--${option.name}=${option.label ?? 'N'}`;
  return [option.short === undefined ? long : `-${option.short}, ${long}`, option.summary];
}

function entries(pairs: readonly (readonly [string, string])[], width: number): string {
  const left = Math.min(24, Math.max(...pairs.map(([term]) => term.length)));
  const room = Math.max(20, width - INDENT - left - 2);
  return pairs
    .map(([term, text]) => {
      const lines = wrap(text, room);
      const margin = ' '.repeat(INDENT + left + 2);
      const first = term.length > left ? `  ${term}\n${margin}` : `  ${term.padEnd(left)}  `;
      return `${first}${lines.join(`\n${margin}`)}\n`;
    })
    .join('');
}
