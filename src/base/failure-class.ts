/**
 * The ways in which a sandbox can fail, as the classifier tells them apart, as `recovery` of a declaration has a chain
 * for each, and as people read them: the summary says what it means, the advice what to do. Names are never changed.
 */
export const FAILURE_CLASSES = {
  'start-failed': {
    summary: 'the program could not be started',
    advice: "read its last lines ('bulkheadctl logs NAME'), and try it by hand with the declaration's exec",
  },
  'not-ready': {
    summary: 'the program did not become ready in time',
    advice: 'see what it waits for at its start; raise health.start-timeout when it needs the time',
  },
  exit: {
    summary: 'the program ended by itself',
    advice: 'its last lines say why; a server has no reason to end, not even with status 0',
  },
  crash: {
    summary: 'a signal ended the program',
    advice: 'look at the core dump and the flight recorder of the incident; it is a defect of the program',
  },
  oom: {
    summary: 'the program used up the memory of its own limit',
    advice: "raise limits.memory when it needs that much; else look for a leak ('bulkheadctl why NAME')",
  },
  'oom-host': {
    summary: 'the kernel ran out of memory outside of the limits of the sandbox, and chose it',
    advice: 'find what else used the memory; the limits of all plugins together should fit into the node',
  },
  'forbidden-syscall': {
    summary: 'the program made a system call that its filter does not allow',
    advice: "see whether it needs it ('bulkheadctl learn NAME'); if it does not, treat it as an attack",
  },
  'forbidden-exec': {
    summary: 'the program tried to execute another program that is not declared',
    advice: 'treat it as an attack until you know better; see programs and seccomp of the declaration',
  },
  hang: {
    summary: 'a request is overdue, and the task that has it waits',
    advice: 'the evidence names what it waits for; see that side, and give the call a time limit',
  },
  deadlock: {
    summary: 'threads wait for each other, and for nobody else',
    advice: 'the stacks of the incident show which locks; it is a defect of the program',
  },
  spin: {
    summary: 'the program uses a CPU and gets nothing done',
    advice: 'the evidence says whether in its own code or in the kernel; take a profile of a running one',
  },
  leak: {
    summary: 'memory, open files or threads grow without an end',
    advice: 'it was replaced before its limit; see what grows in the incident and correct the program',
  },
  'fork-bomb': {
    summary: 'the program started processes or threads until its limit',
    advice: 'raise limits.tasks when it needs that many; else treat it as an attack',
  },
  unresponsive: {
    summary: 'the main loop of the program has not come round for too long, though it could run',
    advice: 'something in it takes too long at one go; move that off the loop',
  },
  'probe-failed': {
    summary: 'the program does not pass the probe that the declaration has for it',
    advice: 'try the probe by hand; see whether it asks for more than the program itself is responsible for',
  },
  dependency: {
    summary: 'something that bulkhead provides for the sandbox was lost',
    advice: 'the evidence names it; when it comes again, see the journal of bulkheadd',
  },
  unkillable: {
    summary: 'a task of the sandbox does not end although it was killed',
    advice: 'it is fenced off and replaced; the kernel holds it, so look at the disk or device that it waits for',
  },
  hardware: {
    summary: 'the node itself is not well',
    advice: "see 'bulkheadctl node'; restarting plugins does not help, moving them away does",
  },
} as const satisfies Record<string, { readonly summary: string; readonly advice: string }>;

export type FailureClass = keyof typeof FAILURE_CLASSES;

/** Where what is said of a class would mislead about one of its kinds. */
const KINDS: Readonly<Record<string, { readonly summary?: string; readonly advice: string }>> = {
  'crash SIGKILL': {
    advice: 'somebody killed it, or the kernel did: the journal of that moment, and of the kernel, may say who',
  },
  'crash SIGTERM': {
    advice: 'somebody asked it to end, and not by its unit: use "systemctl stop plugin@NAME" to stop it',
  },
  'crash no-report': {
    summary: 'the program ended, and nobody could report how',
    advice: 'see the journal of its unit, and of the kernel',
  },
  'hang stopped': {
    summary: 'somebody stopped the program by a signal, and did not let it go on',
    advice: 'find out who; health.stopped says how long a stopped program is left alone',
  },
  'hang frozen': {
    summary: 'somebody froze the cgroup of the program, and did not let it go on',
    advice: 'find out who; health.stopped says how long a frozen program is left alone',
  },
  'hang lost-request': {
    summary: 'a request is overdue, and nothing in the program works on it any more',
    advice: 'it is a defect of the program: look for a promise or callback that is never called',
  },
  'hang uninterruptible': {
    summary: 'a request is overdue, and the kernel holds the task that has it',
    advice: 'look at the disk, device or network file system that it waits for; the program cannot help it',
  },
  'oom child': {
    summary: 'the kernel killed a process of the program for want of memory',
    advice: 'raise limits.memory, or see what the program starts; not its main process was killed',
  },
  'probe-failed judged': {
    summary: 'a new version did worse than the old one beside it',
    advice: "the old one serves; the evidence says in what it was worse, and 'bulkheadctl incidents' what it was at",
  },
  'probe-failed not-judged': {
    summary: 'too little was seen of a new version to say that it is as good as the old one',
    advice: 'the old one serves; a longer upgrade.bake, or fewer upgrade.judge.samples, need less traffic',
  },
  'oom slice': {
    summary: 'plugins together used up the memory that there is for them',
    advice: 'see what the other sandboxes use ("bulkheadctl top"), and limits of plugin.slice',
  },
};

/** What a failure of this class and kind means, and what to do about it in a plugin of this name. */
export function explain(
  of: FailureClass,
  kind: string | undefined,
  plugin: string,
): { readonly summary: string; readonly advice: string } {
  const { summary, advice } = { ...FAILURE_CLASSES[of], ...KINDS[`${of} ${kind ?? ''}`] };
  return { summary, advice: advice.replaceAll(/\bNAME\b/g, plugin) };
}

export const FAILURE_CLASS_NAMES = Object.keys(FAILURE_CLASSES) as readonly FailureClass[];

export function isFailureClass(text: string): text is FailureClass {
  return Object.hasOwn(FAILURE_CLASSES, text);
}
