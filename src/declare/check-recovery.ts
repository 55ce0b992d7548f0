import { FAILURE_CLASS_NAMES } from '../base/failure-class.ts';
import { checkHostProgram } from './check-program.ts';
import type { Declaration } from './declaration.ts';
import type { Finder } from './finder.ts';
import type { RaiseStep } from './recovery.ts';

/** Classes after which there is no sandbox any more, so that something has to be done about it. */
const GONE: readonly string[] = [
  ...['start-failed', 'not-ready', 'exit', 'crash', 'oom', 'oom-host', 'forbidden-syscall', 'forbidden-exec'],
  ...['dependency', 'unkillable'],
];

/** Chains that cannot be gone along. */
export function checkRecovery(finder: Finder, declaration: Declaration): void {
  const key = 'recovery.risky';
  const { risky } = declaration.recovery;
  if (risky !== undefined && risky.fromMinute === risky.toMinute)
    finder.conflict(`${key}.to`, `'${key}' ends when it begins`, `${key}.from`);
  for (const end of ['from', 'to'])
    if (finder.isWritten(key) && !finder.isWritten(`${key}.${end}`) && !finder.isBrokenWithin(key))
      finder.add('BH105', key, `'${key}' has no '${end}'`);
  for (const name of [...FAILURE_CLASS_NAMES, 'default'] as const) {
    // A class that follows 'default' has no list of its own, and no complaints.
    const hasList = finder.isWritten(`recovery.${name}[0]`);
    if (hasList && !finder.isBroken(`recovery.${name}`)) checkChain(finder, name, declaration);
  }
}

function checkChain(finder: Finder, name: keyof Declaration['recovery']['chains'], declaration: Declaration): void {
  const chain = declaration.recovery.chains[name];
  chain.forEach((step, index) => {
    const key = `recovery.${name}[${index}]`;
    const before = chain.findIndex(({ kind }) => kind === 'quarantine');
    if (before >= 0 && before < index)
      finder.add('BH110', key, `'${key}' is never reached: nothing comes after 'quarantine'`);
    if (step.kind === 'quarantine' && step.times !== 'any')
      finder.add('BH110', key, `'${key}.quarantine' is the end, so it has no 'times'`);
    if (step.risky && !finder.isWritten('recovery.risky') && !finder.isBroken('recovery.risky'))
      finder.add('BH110', key, `'${key}' is risky, but 'recovery.risky' does not say when it may be taken`);
    if (step.kind === 'run') checkHostProgram(finder, key, step.words[0] ?? '');
    if (step.kind === 'raise') checkRaise(finder, key, step, declaration.limits);
  });
  const last = chain.at(-1)?.kind;
  if (GONE.includes(name) && (last === 'notify' || last === 'run')) {
    const message = `'recovery.${name}' ends with '${last}', which does nothing about a sandbox that is gone`;
    finder.add('BH110', `recovery.${name}[${chain.length - 1}]`, message, "add 'replace' or 'quarantine'");
  }
}

/** As high as the limit itself can be declared. */
const HIGHEST = { memory: Number.MAX_SAFE_INTEGER, tasks: 4_194_304, files: 1_048_576 } as const;

function checkRaise(finder: Finder, key: string, step: RaiseStep, limits: Declaration['limits']): void {
  const { limit, most, by } = step;
  const limitKey = `limits.${limit}`;
  if (most > HIGHEST[limit] || ('amount' in by && by.amount > HIGHEST[limit]))
    finder.add('BH104', key, `'${limitKey}' is ${HIGHEST[limit]} at most`);
  const declared = limits[limit];
  const now = typeof declared === 'object' ? ('bytes' in declared ? declared.bytes : undefined) : declared;
  if (now === 'infinity') finder.conflict(key, `'${key}' has nothing to raise: '${limitKey}' is infinity`, limitKey);
  else if (now !== undefined && now >= most)
    finder.conflict(key, `'${key}' never raises anything: '${limitKey}' is not below its 'most'`, limitKey);
}
