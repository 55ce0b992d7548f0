// Writes the completion scripts into build/completions, named as the packages of the shells expect them.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { importSource } from './source.mjs';

const OUT = 'build/completions';
const FILES = { bash: 'bulkheadctl.bash', zsh: '_bulkheadctl', fish: 'bulkheadctl.fish' };

const { completionScript } = await importSource('src/control/completion.ts');
const { VERBS } = await importSource('src/control/verb-table.ts');

await rm(OUT, { recursive: true, force: true });
await mkdir(OUT, { recursive: true });
for (const [shell, file] of Object.entries(FILES)) {
  await writeFile(join(OUT, file), completionScript(shell, VERBS));
}
