// Writes the man pages into build/man. A page of packaging/man may have lines `.\" generated: NAME`; in their place
// comes what the tables of the sources say, so that no page can differ from the program.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listKeys, readSchema } from './generate-schema.mjs';
import { escapeText, prose, tagged } from './roff.mjs';
import { importSource } from './source.mjs';

const PAGES = 'packaging/man';
const OUT = 'build/man';

const { version } = JSON.parse(await readFile('package.json', 'utf8'));
const { FAILURES } = await importSource('src/base/failure.ts');
const { FAILURE_CLASSES } = await importSource('src/base/failure-class.ts');
const { VERBS } = await importSource('src/control/verb-table.ts');
const { verbManText } = await importSource('src/control/verb-man.ts');

const generated = {
  keys: () => keyEntries('plugin'),
  'configuration-keys': () => keyEntries('bulkhead'),
  classes: () => Object.entries(FAILURE_CLASSES).map(errorEntry).join(''),
  verbs: () => verbManText(VERBS),
  errors: () => Object.entries(FAILURES).map(errorEntry).join(''),
};

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
for (const page of await readdir(PAGES)) {
  const text = await readFile(join(PAGES, page), 'utf8');
  await writeFile(join(OUT, page), expand(page, text));
}

function expand(page, text) {
  return text.replaceAll('@VERSION@', version).replace(/^\.\\" generated: (.*)\n/gm, (_, name) => {
    const write = generated[name];
    if (!write) throw new Error(`${page}: nothing generates '${name}'`);
    return write();
  });
}

function errorEntry([code, { summary, advice }]) {
  return tagged(code, `${sentence(summary)}.br\n${sentence(advice)}`);
}

function sentence(text) {
  return prose(/[.?]$/.test(text) ? text : `${text}.`);
}

/** Entries of lists have keys without a title, which say nothing that the list's own key does not. */
function keyEntries(schema) {
  return listKeys(readSchema(schema))
    .filter((key) => key.title)
    .map(keyEntry)
    .join('');
}

function keyEntry(key) {
  const parts = [sentence(key.title)];
  if (key.description) parts.push(prose(key.description));
  if (key.expected && key.expected !== 'a map') parts.push('.br\n', sentence(`Value: ${key.expected}`));
  if ('default' in key) parts.push('.br\n', `Default: \\fB${escapeText(yaml(key.default))}\\fR\n`);
  const examples = (key.examples ?? []).map((example) => `\\fB${escapeText(yaml(example))}\\fR`);
  if (examples.length > 0) parts.push('.br\n', `Example: ${examples.join(', or ')}\n`);
  return tagged(key.key, parts.join(''));
}

/** A value as one would write it in a declaration, on one line. */
function yaml(value) {
  if (Array.isArray(value)) return `[${value.map(yaml).join(', ')}]`;
  if (value !== null && typeof value === 'object') {
    const pairs = Object.entries(value).map(([name, each]) => `${name}: ${yaml(each)}`);
    return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`;
  }
  const text = String(value);
  return text === '' || text.startsWith('[') ? `'${text}'` : text;
}
