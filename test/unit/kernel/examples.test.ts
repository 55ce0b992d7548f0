import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import { formatProblem } from '../../../src/base/problem.ts';
import { loadDeclarationFile } from '../../../src/kernel/declaration-files.ts';
import { filesBelow } from '../../static/tree.ts';
import { PROJECT } from '../project.ts';

/** Nothing but the tree: what the host has declared or installed is nobody's example. */
const ROOTS = {
  plugins: [],
  templates: [join(PROJECT, 'templates/plugins')],
  units: [],
  versions: join(PROJECT, 'build/none'),
  live: join(PROJECT, 'build/none'),
};

describe('declarations of the examples', () => {
  const files = filesBelow('templates/examples').filter((file) => file.endsWith('.yaml'));

  it('are found at all', () => {
    assert.ok(files.length >= 8, files.join(' '));
  });

  for (const file of files)
    it(`are valid: '${file}'`, () => {
      const { problems } = loadDeclarationFile(basename(file, '.yaml'), join(PROJECT, file), ROOTS);
      assert.deepEqual(problems.map(formatProblem), []);
    });
});
