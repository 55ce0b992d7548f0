import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join, posix } from 'node:path';
import { VERBS } from '../../src/control/verb-table.ts';
import { PROJECT } from '../unit/project.ts';
import { filesBelow, textOf } from './tree.ts';

const documents = ['README.md', ...filesBelow('docs'), ...filesBelow('native')].filter((file) => file.endsWith('.md'));
const ours = filesBelow('.');

/** Words that look like a path of the tree: `src/...`, `docs/decisions`; not what builds make, nor patterns with NAME. */
const PATH = /(?<![\w/.-])((?:src|native|test|packaging|templates|units|docs|\.ci)\/[\w@./*-]*[\w@*])/g;

function existsAs(pattern: string): boolean {
  if (!pattern.includes('*')) return existsSync(join(PROJECT, pattern));
  const literal = pattern.split('*').map((part) => part.replace(/[.\\+^$()[\]{}|?]/g, '\\$&'));
  return ours.some((file) => new RegExp(`^${literal.join('[^/]*')}$`).test(file));
}

/** The anchor that a heading gets. */
function anchorOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replace(/[^\w\s-]/g, '')
    .replace(/\s/g, '-');
}

for (const document of documents) {
  describe(document, () => {
    const text = textOf(document);

    it('has links that lead somewhere', () => {
      const broken = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
        .map(([, link = '']) => link)
        .filter((link) => {
          if (/^https:\/\//.test(link)) return false;
          const [path = '', anchor] = link.split('#');
          const target = path === '' ? document : posix.join(posix.dirname(document), path);
          if (!existsSync(join(PROJECT, target))) return true;
          if (anchor === undefined) return false;
          return ![...textOf(target).matchAll(/^#+ (.*)$/gm)].some(([, heading = '']) => anchorOf(heading) === anchor);
        });
      assert.deepEqual(broken, []);
    });

    it('names paths that exist', () => {
      const named = [...text.matchAll(PATH)].map(([, path = '']) => path);
      assert.deepEqual(
        named.filter((path) => !existsAs(path)),
        [],
      );
    });

    it('names npm scripts that exist', () => {
      const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
      const named = [...text.matchAll(/npm (?:run )?([a-z]+(?::[a-z]+)?)/g)].map(([, name = '']) => name);
      const own = new Set(['ci', 'install', 'test', 'packages', 'run']);
      assert.deepEqual(
        named.filter((name) => !(name in scripts) && !own.has(name)),
        [],
      );
    });

    it('names verbs of bulkheadctl that exist', () => {
      const verbs = VERBS.map(({ name }) => name);
      const named = [...text.matchAll(/bulkheadctl ([a-z]+) ?(?=NAME|hello|`|$)/gm)].map(([, name = '']) => name);
      assert.deepEqual(
        named.filter((name) => !verbs.includes(name)),
        [],
      );
    });
  });
}

describe('the documentation', () => {
  it('has a place in the code map for every folder of src', () => {
    const folders = new Set(
      ours.map((file) => /^(src\/[^/]+)\/./.exec(file)?.[1]).filter((name) => name !== undefined),
    );
    const map = textOf('docs/architecture.md');
    assert.deepEqual(
      [...folders].filter((folder) => !map.includes(`\`${folder}\``)),
      [],
    );
  });

  it('lists every decision', () => {
    const index = textOf('docs/architecture.md');
    const decisions = ours
      .filter((file) => /^docs\/decisions\/\d{4}-/.test(file))
      .map((file) => posix.relative('docs', file));
    assert.ok(decisions.length > 0);
    assert.deepEqual(
      decisions.filter((file) => !index.includes(`](${file})`)),
      [],
    );
  });
});
