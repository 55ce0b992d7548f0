import { readlinkSync } from 'node:fs';
import type { Owned } from '../base/clock.ts';
import { printable } from '../base/printable.ts';
import type { TaskCall, TaskLook } from '../diagnose/look.ts';
import { parseCall } from '../diagnose/system-calls.ts';
import { parseSchedstat, parseStat, type TaskStat } from '../diagnose/task-text.ts';
import { KeptFile } from './kept-file.ts';

/**
 * One thread of a payload. Read are only files that a thread in whatever state cannot keep anybody waiting at: never
 * cmdline, environ, maps or smaps, for which its memory would have to be locked.
 */
export class TaskFiles implements Owned {
  readonly pid: number;
  readonly tid: number;
  readonly innerTid: number;
  readonly #stat: KeptFile;
  readonly #schedstat: KeptFile;
  readonly #syscall: KeptFile;
  readonly #wchan: KeptFile;

  constructor(pid: number, tid: number, innerTid: number) {
    this.pid = pid;
    this.tid = tid;
    this.innerTid = innerTid;
    const file = (name: string) => new KeptFile(`/proc/${pid}/task/${tid}/${name}`);
    this.#stat = file('stat');
    this.#schedstat = file('schedstat');
    this.#syscall = file('syscall');
    this.#wchan = file('wchan');
  }

  /** Undefined when it has ended. @param close whether what it is in is to be known, too; in state D it always is. */
  look(close: boolean): TaskLook | undefined {
    const stat = this.stat();
    const time = parseSchedstat(this.#schedstat.text() ?? '');
    if (stat === undefined || time === undefined) return undefined;
    const { pid, tid, innerTid } = this;
    const { state, userMs, systemMs, majorFaults } = stat;
    const closer = close || state === 'D' ? this.#closer() : undefined;
    return { pid, tid, innerTid, state, userMs, systemMs, majorFaults, ...time, ...closer };
  }

  /** The whole process's number of threads, and its parent; undefined when it has ended. */
  stat(): TaskStat | undefined {
    return parseStat(this.#stat.text() ?? '');
  }

  release(): void {
    for (const file of [this.#stat, this.#schedstat, this.#syscall, this.#wchan]) file.release();
  }

  #closer(): Pick<TaskLook, 'call' | 'wchan' | 'target'> {
    const call = parseCall(this.#syscall.text() ?? '', process.arch);
    return { call, wchan: printable(this.#wchan.text() ?? '', 64), target: this.#target(call) };
  }

  #target(call: TaskCall | undefined): string | undefined {
    if (call?.descriptor === undefined) return undefined;
    try {
      const target = readlinkSync(`/proc/${this.pid}/fd/${call.descriptor}`);
      const kind = /^(pipe|socket):\[\d+\]$/.exec(target)?.[1];
      return kind === undefined ? printable(target, 128) : `a ${kind}`;
    } catch {
      // It ended, or has closed the descriptor meanwhile.
      return undefined;
    }
  }
}
