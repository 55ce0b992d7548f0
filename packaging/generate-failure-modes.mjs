// Writes docs/failure-modes.md from test/failures/measured.json and the rows of the failure matrix. With
// `--measured MACHINE FILE...` the results of that machine are replaced by those in the files first.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { importSource } from './source.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const MEASURED = 'test/failures/measured.json';
const { failureModes } = await importSource('test/failures/failure-modes.ts');

const measured = JSON.parse(readFileSync(MEASURED, 'utf8'));
const [option, machine, ...files] = process.argv.slice(2);
if (option === '--measured') {
  // One list a line, as the suites left them.
  const lists = files.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean));
  measured[machine] = lists.flatMap((list) => JSON.parse(list));
  const list = (entries) => `[\n${entries.map((entry) => `  ${JSON.stringify(entry)}`).join(',\n')}\n]`;
  writeFileSync(MEASURED, `{\n"lab": ${list(measured.lab)},\n"vm": ${list(measured.vm)}\n}\n`);
}
writeFileSync('docs/failure-modes.md', failureModes(measured));
