import type { Finder } from './finder.ts';
import { quoteValue } from './tree.ts';

/** Whether a program is written as one that can be meant: a full path, or one in the version's directory. */
export function checkProgram(finder: Finder, key: string, program: string, version: string | undefined): void {
  if (finder.isBroken(key)) return;
  const shown = `the program ${quoteValue(program)}`;
  const path = program.startsWith('./') ? program.slice(1) : program;
  if (/\p{Cc}/u.test(program)) finder.add('BH104', key, `${shown} must not contain control characters`);
  else if (!path.startsWith('/')) {
    const hint = /^[\w.+-]{1,64}$/.test(program) ? `write './${program}' or '/usr/bin/${program}'` : undefined;
    finder.add('BH104', key, `${shown} must be a full path, or begin with './'`, hint);
  } else if (path.split('/').includes('..')) finder.add('BH104', key, `${shown} must not contain '..'`);
  else if (program.startsWith('./') && version === undefined && !finder.isBroken('version')) {
    finder.add('BH110', key, `${shown} is in the version's directory, but there is no 'version'`, "add 'version'");
  }
}

/** The same for one that runs on the host, outside of the version's directory. */
export function checkHostProgram(finder: Finder, key: string, program: string): void {
  const isPlain = program.startsWith('/') && !/\p{Cc}/u.test(program) && !program.split('/').includes('..');
  if (!isPlain)
    finder.add('BH104', key, `the program ${quoteValue(program)} runs on the host, so it must be a full path`);
}
