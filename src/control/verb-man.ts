import { EXIT_STATUS } from './exit-status.ts';
import { optionEntry, synopsis } from './help.ts';
import type { Verb } from './verb.ts';

/** The sections VERBS and EXIT STATUS of bulkheadctl(1) in man(7) macros, generated from the tables. */
export function verbManText(verbs: readonly Verb[]): string {
  const shown = verbs.filter((verb) => !verb.hidden);
  const exits = EXIT_STATUS.map(({ status, meaning }) => `.TP\n${status}\n${roff(meaning)}\n`);
  return `.SH VERBS\n${shown.map(manEntry).join('')}.SH EXIT STATUS\n${exits.join('')}`;
}

function manEntry(verb: Verb): string {
  const [name = '', ...words] = synopsis(verb).split(' ');
  const head = `.TP\n\\fB${roff(name)}\\fR${words.map((word) => ` ${italicLabels(word)}`).join('')}\n`;
  const paragraphs = verb.help.map((paragraph) => `.IP\n${roff(paragraph)}\n`).join('');
  const options = verb.options.map((option) => {
    const [term, summary] = optionEntry(option);
    return `.TP\n\\fB${roff(term)}\\fR\n${roff(capital(summary))}.\n`;
  });
  const block = options.length === 0 ? '' : `.RS\n${options.join('')}.RE\n`;
  return `${head}${roff(capital(verb.summary))}.\n${paragraphs}${block}`;
}

function italicLabels(word: string): string {
  return roff(word).replaceAll(/[A-Z]+/g, '\\fI$&\\fR');
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Escapes what troff would take for its own: backslashes, hyphens (to be copied as "-"), dots and ticks in front. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '\\&...')
    .replaceAll(/^([.'])/gm, '\\&$1');
}
