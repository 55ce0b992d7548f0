import type { Declaration } from './declaration.ts';
import type { Finder } from './finder.ts';
import { PROBE_NAMES } from './probe.ts';

/** What does not go together with a bridge between sockets and the program's standard streams. */
export function checkStdio(finder: Finder, declaration: Declaration): void {
  const { stdio } = declaration;
  if (finder.isBroken('kind')) return;
  if (stdio === undefined) {
    if (finder.isOwn('stdio')) finder.conflict('stdio', "'stdio' is for 'kind: stdio'", 'kind');
    return;
  }
  if (declaration.listen.length === 0 && !finder.isBroken('listen'))
    finder.add('BH105', 'kind', "'kind: stdio' offers the program nowhere: there is no 'listen'", "add 'listen'");
  if (stdio.protocol === 'raw' && stdio.process === 'shared')
    finder.conflict('stdio.process', 'bytes without messages cannot be told apart, so not be shared', 'stdio.protocol');
  checkSockets(finder, declaration);
  checkCalls(finder, declaration);
  checkProbes(finder, declaration);
}

/** The bridge accepts at the sockets of 'listen' itself, and speaks another protocol than that of 'rpc'. */
function checkSockets(finder: Finder, { listen, rpc }: Declaration): void {
  listen.forEach(({ to }, index) => {
    const key = `listen[${index}].to`;
    if (to !== undefined) finder.conflict(key, `'${key}' is for a program that serves a port of its own`, 'kind');
  });
  if (rpc !== undefined) finder.conflict('rpc', "a program of 'kind: stdio' does not speak what 'rpc' is for", 'kind');
}

/** The bridge is what init executes; it executes the program. */
function checkCalls(finder: Finder, { programs, seccomp }: Declaration): void {
  for (const [key, isNarrow] of [
    ['programs', programs === 'own'],
    ['seccomp', seccomp === 'static'],
  ] as const)
    if (isNarrow)
      finder.conflict(key, `the bridge of 'kind: stdio' has to execute the program, and '${key}' forbids it`, 'kind');
}

function checkProbes(finder: Finder, { health }: Declaration): void {
  for (const name of PROBE_NAMES) {
    const key = `health.${name}.http`;
    if (health[name]?.kind === 'http' && health[name].port === undefined)
      finder.conflict(key, `a program of 'kind: stdio' speaks no HTTP, so '${key}' takes a 'port'`, 'kind');
  }
}
