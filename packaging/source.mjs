// Lets the generators use the tables of the sources themselves, so that what they write cannot differ from them.
import { build } from 'esbuild';

/** Loads a TypeScript module of the sources, `src/base/failure.ts` say, and returns what it exports. */
export async function importSource(file) {
  const { outputFiles } = await build({
    entryPoints: [file],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ['usocket', 'x11'],
    banner: {
      js: "import { createRequire as sourceRequire } from 'node:module';\nconst require = sourceRequire('file:///');",
    },
    logLevel: 'warning',
  });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}
