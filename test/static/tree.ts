import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../unit/project.ts';

/** Made by builds and by npm; not part of the tree. */
const NOT_OURS = new Set(['.git', 'build', 'node_modules']);

/** All files below a folder of the project, as paths from its root, sorted. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(PROJECT, folder), { withFileTypes: true })
    .filter(({ name }) => !NOT_OURS.has(name))
    .flatMap((entry) => {
      const path = folder === '.' ? entry.name : `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}

export function textOf(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8');
}
