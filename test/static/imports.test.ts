import assert from 'node:assert/strict';
import { posix } from 'node:path';
import { filesBelow, textOf } from './tree.ts';

/** A folder imports only from itself and from those before it: the way of a declaration, docs/architecture.md. */
const ORDER = [
  'base',
  'declare',
  'plan',
  'unit',
  'audit',
  'learn',
  'diagnose',
  'systemd',
  'kernel',
  'install',
  'sandbox',
  'watch',
  'decide',
  'act',
  'traffic',
  'rpc',
  'upgrade',
  'record',
  'control',
];

/** No I/O, no clock, no chance. */
const PURE = ['base', 'declare', 'plan', 'unit', 'audit', 'learn', 'diagnose', 'decide'];
const IMPURE = /\b(?:Date\.now|new Date|performance\.|process\.|setTimeout|setInterval|Math\.random|crypto\.)/;

interface Import {
  readonly from: string;
  /** Path from the root, or the name of a package. */
  readonly what: string;
}

function importsOf(file: string): Import[] {
  const found = textOf(file).matchAll(
    /^(?:import|export)\b[^;]*?\bfrom\s+'([^']+)'|\bimport\(\s*'([^']+)'|^import\s+'([^']+)'/gm,
  );
  return [...found].map(([, one, two, three]) => {
    const name = one ?? two ?? three ?? '';
    return { from: file, what: name.startsWith('.') ? posix.join(posix.dirname(file), name) : name };
  });
}

function folderOf(path: string): string | undefined {
  return /^src\/([^/]+)\/./.exec(path)?.[1];
}

describe('imports of src', () => {
  const sources = filesBelow('src').filter((file) => file.endsWith('.ts'));
  const imports = sources.flatMap(importsOf);

  it('are found at all', () => {
    assert.ok(imports.length > sources.length, `${imports.length} in ${sources.length} files`);
  });

  it('knows every folder', () => {
    const folders = new Set(sources.map(folderOf).filter((folder) => folder !== undefined));
    assert.deepEqual(
      [...folders].filter((folder) => !ORDER.includes(folder)),
      [],
    );
  });

  it('point upwards only', () => {
    const wrong = imports
      .filter(({ from, what }) => {
        const [own, other] = [folderOf(from), folderOf(what)];
        if (own === undefined || !what.startsWith('src/')) return false;
        return other === undefined || ORDER.indexOf(other) > ORDER.indexOf(own);
      })
      .map(({ from, what }) => `${from} -> ${what}`);
    assert.deepEqual(wrong, []);
  });

  it('do not leave src', () => {
    assert.deepEqual(
      imports.filter(({ what }) => what.includes('/') && /^(?:\.\.|test|packaging|build)/.test(what)),
      [],
    );
  });

  it('bring nothing of the machine into pure folders', () => {
    const wrong = imports.filter(({ from, what }) => PURE.includes(folderOf(from) ?? '') && /^node:/.test(what));
    assert.deepEqual(wrong, []);
  });

  it('bring nothing of the daemon into what callers and plugins load', () => {
    const wrong = imports
      .filter(({ from }) => folderOf(from) === 'rpc')
      .filter(({ what }) => !/^node:/.test(what) && !/^msgpackr(?:\/|$)/.test(what) && !what.startsWith('src/rpc/'))
      .map(({ from, what }) => `${from} -> ${what}`);
    assert.deepEqual(wrong, []);
  });

  it('bring neither side of a call into the other, nor into what both share', () => {
    const side = (path: string): string => /^src\/rpc\/([^/]+)\//.exec(path)?.[1] ?? '';
    const wrong = imports
      .filter(({ from, what }) => side(from) !== '' && side(what) !== '')
      .filter(({ from, what }) => side(what) !== side(from) && side(what) !== 'wire')
      .map(({ from, what }) => `${from} -> ${what}`);
    assert.deepEqual(wrong, []);
  });

  for (const file of sources.filter((source) => PURE.includes(folderOf(source) ?? ''))) {
    it(`leave '${file}' without clock and chance`, () => {
      const code = textOf(file).replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
      assert.equal(IMPURE.exec(code)?.[0], undefined);
    });
  }
});
