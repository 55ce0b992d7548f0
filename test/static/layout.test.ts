import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../unit/project.ts';
import { filesBelow, textOf } from './tree.ts';

const TOP = [
  'LICENSE',
  'README.md',
  'docs',
  'native',
  'package-lock.json',
  'package.json',
  'packaging',
  'src',
  'templates',
  'test',
  'units',
];

/** Made by tools, and as long as they make it. */
const GENERATED = /\.generated\.|\.schema\.json$/;
const MOST_LINES = 400;

/** Where somebody happened to work, and where somebody's packages happened to come from. */
const ELSEWHERE = [['', 'work', ''].join('/'), 'mirror'.concat('.')];

/** The files under version control or about to be; all of them where there is no git. */
function tracked(): string[] {
  try {
    const git = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
    const listed = execFileSync('git', git, { cwd: PROJECT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return listed.split('\0').filter((file) => file !== '' && existsSync(join(PROJECT, file)));
  } catch {
    return filesBelow('.');
  }
}

describe('the tree', () => {
  it('has at its top what belongs there', () => {
    const top = new Set(tracked().map((file) => file.split('/')[0] ?? ''));
    assert.deepEqual(
      [...top].filter((name) => !name.startsWith('.') && !TOP.includes(name)),
      [],
    );
    assert.deepEqual(
      TOP.filter((name) => !readdirSync(PROJECT).includes(name)),
      [],
    );
  });

  it('has no long file in src and native', () => {
    const long = [...filesBelow('src'), ...filesBelow('native')]
      .filter((file) => !GENERATED.test(file))
      .map((file) => ({ file, lines: textOf(file).split('\n').length - 1 }))
      .filter(({ lines }) => lines > MOST_LINES);
    assert.deepEqual(long, []);
  });

  it('says nothing of other machines', () => {
    const found = tracked().flatMap((file) => {
      const text = textOf(file);
      return ELSEWHERE.filter((word) => text.includes(word)).map((word) => `${file}: ${word}`);
    });
    assert.deepEqual(found, []);
  });

  it("names no place that a package is fetched from: that is npm's own setting", () => {
    const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, { resolved?: string }> };
    const strange = Object.values(lock.packages)
      .map(({ resolved }) => resolved)
      .filter((url) => url !== undefined);
    assert.deepEqual(strange, []);
  });

  it('has a lock file that is whole: npm ci refuses any other', () => {
    interface Entry {
      readonly optionalDependencies?: Record<string, string>;
      readonly dependencies?: Record<string, string>;
    }
    const { packages } = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, Entry> };
    const missing = Object.entries(packages).flatMap(([path, { dependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...optionalDependencies })
        .filter((name) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages))
        .map((name) => `${name} for ${path}`),
    );
    assert.deepEqual(missing, []);
  });
});
