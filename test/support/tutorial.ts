/** What docs/plugin-authors.md says, for those who do it. */
import { readFileSync } from 'node:fs';

/** One part of the page, or of such a part: from its heading to the next one that is not below it. */
export function partOf(text: string, heading: string): string {
  const [depth = ''] = /^#+/.exec(heading) ?? [];
  const from = text.slice(text.indexOf(`\n${heading}`) + 1);
  // A single # may be a comment in a block.
  const end = from.slice(heading.length).search(new RegExp(`^#{2,${depth.length}} `, 'm'));
  return end < 0 ? from : from.slice(0, heading.length + end);
}

export function partOfPage(page: string, heading: string): string {
  return partOf(readFileSync(page, 'utf8'), heading);
}

/** The blocks of a language; '' is for what is typed. */
export function blocks(part: string, language: string): string[] {
  const all = [...part.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)];
  return all.filter(([, named]) => named === language).map(([, , block = '']) => block);
}

/** A line that is typed behind a prompt, and what is shown as its answer. */
export interface Typed {
  readonly command: string;
  readonly answer: string;
}

export function typed(part: string): Typed[] {
  return blocks(part, '')
    .flatMap((block) => block.split(/^\$ /m).slice(1))
    .map((lines) => ({ command: lines.slice(0, lines.indexOf('\n')), answer: lines.slice(lines.indexOf('\n') + 1) }));
}
