// Bundles the programs, and lists the licences of the packages that ended up in them.
import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { writeDeclarations } from './declarations.mjs';

const OUT = 'build/dist';
/** What main services and plugins import as `bulkhead/...`, by the file that each begins with. */
const MODULE = join(OUT, 'module');
const MODULES = { client: 'src/rpc/client/client.ts', plugin: 'src/rpc/plugin/index.ts' };

// Made anew, not written over: somebody may hold the old ones, by a link or in a running program.
await rm(OUT, { recursive: true, force: true });
const result = await build({
  entryPoints: ['src/bulkheadd.ts', 'src/bulkheadctl.ts', 'src/look-at-node.ts', 'src/check-version.ts'],
  outdir: OUT,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  // Optional packages of dbus-next that must never be loaded: a native socket module that crashes newer
  // versions of Node.js, and X11, which it would ask for the address of a session bus.
  external: ['usocket', 'x11'],
  // Bundled CommonJS packages call require(), which an ES module does not have. A name of our own for the import:
  // the bundler does not see it, and the sources may import createRequire, too.
  banner: {
    js: "import { createRequire as bundleRequire } from 'node:module';\nconst require = bundleRequire(import.meta.url);",
  },
  // The text of a bundle stays in the memory of the daemon. Names are kept: they are in stack traces.
  minify: true,
  keepNames: true,
  legalComments: 'eof',
  // For reading a stack trace of the shipped file in the checkout; not shipped.
  sourcemap: 'external',
  metafile: true,
  logLevel: 'warning',
});

// What the bundler cannot see, a name that is declared twice with the banner's say, is found here and not at the start.
for (const file of ['bulkheadd.mjs', 'bulkheadctl.mjs', 'look-at-node.mjs', 'check-version.mjs'])
  execFileSync(process.execPath, ['--check', join(OUT, file)]);

// Not minified: whoever debugs a plugin reads them.
const module = await build({
  entryPoints: MODULES,
  outdir: MODULE,
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  legalComments: 'eof',
  metafile: true,
  logLevel: 'warning',
});
const names = Object.keys(MODULES);
for (const name of names) execFileSync(process.execPath, ['--check', join(MODULE, `${name}.js`)]);
await writeDeclarations(Object.fromEntries(names.map((name) => [join(MODULE, `${name}.d.ts`), MODULES[name]])));
const { version, license } = JSON.parse(await readFile('package.json', 'utf8'));
const exported = names.map((name) => [`./${name}`, { types: `./${name}.d.ts`, default: `./${name}.js` }]);
const description = 'Client library and plugin SDK of bulkhead';
const manifest = {
  name: 'bulkhead',
  version,
  description,
  license,
  type: 'module',
  exports: Object.fromEntries(exported),
};
await writeFile(join(MODULE, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);

const inputs = [...Object.keys(result.metafile.inputs), ...Object.keys(module.metafile.inputs)];
await writeFile(join(OUT, 'licences.txt'), await licences(inputs));

/** The licence texts of all packages among the bundled files; a package without one ends the build. */
async function licences(inputs) {
  const directories = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) directories.add(found[1]);
  }
  const texts = [];
  for (const directory of [...directories].sort()) texts.push(await licence(directory));
  return texts.join('\n');
}

async function licence(directory) {
  const { name, version, license } = JSON.parse(await readFile(join(directory, 'package.json'), 'utf8'));
  const file = (await readdir(directory)).find((each) => /^(licen[cs]e|copying)/i.test(each));
  if (!license && !file) throw new Error(`${name} ${version} names no licence; it cannot be shipped`);
  const text = file ? await readFile(join(directory, file), 'utf8') : await licenceInReadme(directory, name);
  const title = `${name} ${version} (${typeof license === 'string' ? license : (license?.type ?? 'see below')})`;
  return `${title}\n${'-'.repeat(title.length)}\n\n${await withoutApacheText(directory, text.trim())}\n`;
}

/** The long Apache licence is bulkhead's own and not repeated; what comes before it, and a NOTICE, has to be kept. */
async function withoutApacheText(directory, text) {
  const at = text.search(/^\s*Apache License\s*\n\s*Version 2\.0, January 2004/m);
  if (at < 0) return text;
  const notice = (await readdir(directory)).find((each) => /^notice/i.test(each));
  return [
    text.slice(0, at).trim(),
    'Apache License, version 2.0: the same as of bulkhead itself, see above.',
    notice ? (await readFile(join(directory, notice), 'utf8')).trim() : '',
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Some packages have their licence in the last section of their README only. */
async function licenceInReadme(directory, name) {
  const readme = (await readdir(directory)).find((each) => /^readme/i.test(each));
  const text = readme ? await readFile(join(directory, readme), 'utf8') : '';
  const at = text.search(/^#* *licen[cs]e/im);
  if (at < 0) throw new Error(`${name} carries no licence text; add it by hand before shipping`);
  return text.slice(at);
}
