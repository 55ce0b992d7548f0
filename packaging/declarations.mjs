// Writes one file of TypeScript declarations for each module that others import: what it exports, and whatever that
// mentions. The compiler writes a file for each source, which would show all that is inside.
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

const TSC = resolve('node_modules/.bin/tsc');

/**
 * @param {{ [out: string]: string }} modules by the file to be written, the source that the module begins with
 */
export async function writeDeclarations(modules) {
  const directory = await mkdtemp(join(tmpdir(), 'declarations-'));
  try {
    execFileSync(
      TSC,
      [
        '-p',
        'src/tsconfig.json',
        '--declaration',
        '--emitDeclarationOnly',
        '--incremental',
        'false',
        '--outDir',
        directory,
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    for (const [out, source] of Object.entries(modules))
      await writeFile(out, await declarationsOf(join(directory, source.replace(/\.ts$/, '.d.ts'))));
  } finally {
    await rm(directory, { recursive: true });
  }
  // As somebody's compiler will read them, without ours.
  const strict = ['--noEmit', '--strict', '--exactOptionalPropertyTypes', '--skipLibCheck', 'false', '--types', 'node'];
  const target = ['--target', 'es2022', '--lib', 'es2023', '--module', 'nodenext', '--ignoreConfig'];
  execFileSync(TSC, [...strict, ...target, ...Object.keys(modules)], { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function declarationsOf(entry) {
  const files = new Map();
  await read(entry, files);
  const declared = new Map();
  for (const [file, { declarations }] of files)
    for (const [name, text] of declarations) declared.set(name, [...(declared.get(name) ?? []), { file, text }]);

  const exported = files.get(entry).exported;
  const taken = new Map();
  const builtin = new Set();
  const queue = [...exported];
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    if (taken.has(name)) continue;
    const found = declared.get(name) ?? [];
    if (found.length === 0) throw new Error(`${relative('.', entry)} exports '${name}', which is declared nowhere`);
    if (found.length > 1) throw new Error(`'${name}' is declared in ${found.map(({ file }) => file).join(' and ')}`);
    const [{ file, text }] = found;
    taken.set(name, text);
    const words = new Set(withoutComments(text).match(/[A-Za-z_$][\w$]*/g));
    for (const [known, line] of files.get(file).builtin) if (words.has(known)) builtin.add(line);
    for (const word of words) if (declared.has(word) && files.get(file).known.has(word)) queue.push(word);
  }
  const texts = [...taken].map(([name, text]) => {
    const inner = text.replace(/^export /m, '');
    return exported.has(name) ? inner.replace(/^(?=(?:declare|interface|type)\b)/m, 'export ') : inner;
  });
  return ['/// <reference types="node" />', ...builtin, ...texts, ''].join('\n');
}

/** Takes a file apart: its top declarations by name, what it exports, and where its other names come from. */
async function read(path, files) {
  if (files.has(path)) return;
  const file = { declarations: new Map(), exported: new Set(), builtin: new Map(), known: new Set() };
  files.set(path, file);
  for (const chunk of chunksOf(await readFile(path, 'utf8'))) {
    const code = withoutComments(chunk).trim();
    const list = /^(?:import|export)\s+(?:type\s+)?\{([^}]*)\}(?:\s+from\s+'([^']+)')?;$/.exec(code);
    if (list !== null) {
      const names = list[1]
        .split(',')
        .map((each) => each.trim().replace(/^type\s+/, ''))
        .filter((each) => each !== '');
      for (const name of names) {
        if (/\sas\s/.test(name)) throw new Error(`${path}: '${name}' would be two names for one thing`);
        file.known.add(name);
        if (code.startsWith('export')) file.exported.add(name);
        if (list[2]?.startsWith('node:')) file.builtin.set(name, `import type { ${name} } from '${list[2]}';`);
      }
      if (list[2]?.startsWith('.')) await read(join(dirname(path), list[2].replace(/\.ts$/, '.d.ts')), files);
      continue;
    }
    const named = /^(export )?((?:declare )?(?:abstract )?(?:class|function|const|interface|type|enum) ([\w$]+))/.exec(
      code,
    );
    if (named === null) throw new Error(`${path} has what is not understood here: ${code.slice(0, 80)}`);
    const [, isExported, , name] = named;
    file.known.add(name);
    if (isExported !== undefined) file.exported.add(name);
    file.declarations.set(name, chunk);
  }
}

/** Whatever begins with a word at the left margin, with the comment right before it. */
function chunksOf(text) {
  const chunks = [];
  let lines = [];
  for (const line of text.split('\n')) {
    if (/^(?:export|declare|import|interface|type)\b/.test(line)) {
      let end = lines.length;
      while (end > 0 && /^(?:\/\*\*| \*)/.test(lines[end - 1])) end--;
      const comment = lines.splice(end);
      chunks.push(lines.join('\n').trimEnd());
      lines = comment;
    }
    lines.push(line);
  }
  chunks.push(lines.join('\n').trimEnd());
  return chunks.filter((chunk) => !['', 'export {};'].includes(withoutComments(chunk).trim()));
}

function withoutComments(text) {
  return text.replace(/\/\*[\s\S]*?\*\//g, '');
}
