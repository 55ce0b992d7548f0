// Writes build/bulkhead.catalog: what journalctl --catalog says about the entries of the supervisor.
import { writeFile } from 'node:fs/promises';
import { importSource } from './source.mjs';

const { catalogText } = await importSource('src/record/messages.ts');

await writeFile('build/bulkhead.catalog', catalogText());
