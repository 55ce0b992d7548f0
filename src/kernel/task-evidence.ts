import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { printable } from '../base/printable.ts';

/** What /proc tells of one thread. Nothing that the program put there is among it but its name. */
export interface TaskEvidence {
  /** On the host. */
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  /** One letter, as proc_pid_stat(5) has it. */
  readonly state: string;
  /** Number and arguments, stack pointer and program counter; `running`; '' where that cannot be read. */
  readonly syscall: string;
  readonly wchan: string;
  /** Functions of the kernel that it is in, the innermost first; empty without CAP_SYS_ADMIN. */
  readonly stack: readonly string[];
  /** Time on a CPU, time spent waiting for one (ns), and turns (proc-schedstat). */
  readonly schedstat: string;
}

export interface TasksSeen {
  readonly tasks: readonly TaskEvidence[];
  /** There were more, or there was no time for them. */
  readonly more: boolean;
}

/** A bound for one look, shared by all that is looked at. */
export interface LookBounds {
  readonly most: number;
  /** So many are looked at even when it is late: on a host that has too much to do, nothing else would ever be seen. */
  readonly least: number;
  /** Whether the time is over. */
  readonly late: () => boolean;
}

const LONGEST_LINE = 200;
const MOST_FRAMES = 32;

/** The threads of these processes, those of the first one first. About 60 us each. */
export function lookAtTasks(pids: readonly number[], { most, least, late }: LookBounds): TasksSeen {
  const tasks: TaskEvidence[] = [];
  for (const pid of pids) {
    for (const name of tasksOf(pid)) {
      if (tasks.length >= most || (tasks.length >= least && late())) return { tasks, more: true };
      const task = lookAtTask(pid, Number(name));
      if (task !== undefined) tasks.push(task);
    }
  }
  return { tasks, more: false };
}

/** What the process has open, as `3 -> socket:[4711]`. */
export function lookAtDescriptors(pid: number, { most, least, late }: LookBounds): string[] {
  const lines: string[] = [];
  for (const name of namesOf(`/proc/${pid}/fd`)) {
    if (lines.length >= most || (lines.length >= least && late())) return [...lines, 'and more'];
    const target = linkOf(`/proc/${pid}/fd/${name}`);
    if (target !== undefined) lines.push(`${name} -> ${printable(target, LONGEST_LINE)}`);
  }
  return lines;
}

function tasksOf(pid: number): string[] {
  return namesOf(`/proc/${pid}/task`);
}

function lookAtTask(pid: number, tid: number): TaskEvidence | undefined {
  const directory = `/proc/${pid}/task/${tid}`;
  const stat = textOf(`${directory}/stat`);
  // The name is in parentheses and may hold any character, a parenthesis, too.
  const end = stat.lastIndexOf(')');
  if (end < 0) return undefined;
  return {
    pid,
    tid,
    comm: printable(stat.slice(stat.indexOf('(') + 1, end), LONGEST_LINE),
    state: stat.slice(end + 2, end + 3),
    syscall: line(textOf(`${directory}/syscall`)),
    wchan: line(textOf(`${directory}/wchan`)),
    stack: frames(textOf(`${directory}/stack`)),
    schedstat: line(textOf(`${directory}/schedstat`)),
  };
}

/** `[<0>] anon_pipe_read+0x1a/0x30`: the address is hidden, the rest says where. */
function frames(text: string): string[] {
  const lines = text.split('\n').filter((each) => each !== '');
  return lines.slice(0, MOST_FRAMES).map((each) => printable(each.replace(/^\[<[0-9a-f]+>\] /, ''), LONGEST_LINE));
}

function line(text: string): string {
  return printable(text.trimEnd(), LONGEST_LINE);
}

/** '' for what is gone, or not for us to read. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // The process ended meanwhile.
    return [];
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
