import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The project's root, wherever the tests were compiled to. */
export const PROJECT = findRoot();

function findRoot(): string {
  let directory = fileURLToPath(new URL('.', import.meta.url));
  while (!existsSync(`${directory}/package.json`)) {
    const parent = directory.replace(/\/[^/]+\/?$/, '');
    if (parent === directory || parent === '') throw new Error('package.json is not above the tests');
    directory = parent;
  }
  return directory;
}
