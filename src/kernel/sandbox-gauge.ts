import { constants, readdirSync } from 'node:fs';
import type { Owned } from '../base/clock.ts';
import {
  ACTIVITY_HEAD_BYTES,
  ACTIVITY_PAGE_BYTES,
  type ActivityPage,
  FIRST_SLOT,
  inFlight,
  parseActivityPage,
  parseHeaderAgain,
  parseRecordedTimes,
} from '../diagnose/activity-page.ts';
import type { SandboxLook, TaskLook } from '../diagnose/look.ts';
import { fieldOf, innerId, parsePressure } from '../diagnose/task-text.ts';
import { CGROUP_ROOT, readProc } from './cgroup.ts';
import { KeptFile } from './kept-file.ts';
import { filesOf, type OwnCounts } from './limit-counters.ts';
import { TaskFiles } from './task-files.ts';

/** Where to look. */
export interface GaugedSandbox {
  /** Cgroups of the unit, and of init and the payload in it, below the root. */
  readonly cgroup: string;
  readonly payloadCgroup: string;
  /** The activity page, on the host. */
  readonly activity: string;
}

/** What the look is called for. */
export interface Glance {
  readonly now: number;
  readonly lateMs: number;
  readonly sleptMs: number;
  /** Something is suspicious: what threads are in is to be known. */
  readonly close: boolean;
  /** How long requests took is to be known, too. */
  readonly times: boolean;
}

export interface Gauged {
  readonly look: SandboxLook;
  /** Bytes in memory of all that was looked at, shared ones with each. */
  readonly residentBytes: number;
  readonly counts: OwnCounts;
  /** How long (ms) requests took that were recorded since times were asked for last, or ever before. */
  readonly durations: readonly number[];
}

/** Processes and threads that are looked at, which bounds what a look costs. */
const MOST_PROCESSES = 64;
const MOST_THREADS = 32;
/** Threads that are searched for one that the page names. */
const MOST_SEARCHED = 512;
const PAGE_BYTES = 4096;

const FILES = ['cpu.stat', 'memory.current', 'memory.events', 'memory.pressure', 'pids.events'] as const;

const whole = Buffer.alloc(ACTIVITY_PAGE_BYTES);
const head = whole.subarray(0, ACTIVITY_HEAD_BYTES);

interface ProcessFiles extends Owned {
  readonly inner: number;
  readonly leader: TaskFiles;
  readonly memory: KeptFile;
}

/**
 * Reads what there is to be seen of one sandbox, with descriptors that are kept open. Nothing that is read here waits
 * for anybody: not for a thread in whatever state, not for memory, not for a file system of the sandbox.
 */
export class SandboxGauge implements Owned {
  readonly #files: ReadonlyMap<(typeof FILES)[number], KeptFile>;
  readonly #events: KeptFile;
  readonly #procs: KeptFile;
  readonly #page: KeptFile;
  readonly #processes = new Map<number, ProcessFiles>();
  /** By the id that the payload knows. */
  readonly #threads = new Map<number, TaskFiles>();
  #main: number | undefined;
  /** The page as it was parsed last. */
  #seen: { readonly bytes: Buffer; readonly page: ActivityPage } | undefined;
  /** The last flight record that was looked at. */
  #recorded = -1;
  /** Ids that were searched in vain, as long as the threads are as many as then. */
  #notThere = new Map<number, number>();

  constructor({ cgroup, payloadCgroup, activity }: GaugedSandbox) {
    this.#files = new Map(FILES.map((name) => [name, new KeptFile(`${CGROUP_ROOT}${cgroup}/${name}`)]));
    this.#events = new KeptFile(`${CGROUP_ROOT}${payloadCgroup}/cgroup.events`);
    this.#procs = new KeptFile(`${CGROUP_ROOT}${payloadCgroup}/cgroup.procs`);
    this.#page = new KeptFile(activity, constants.O_NOFOLLOW | constants.O_NONBLOCK);
  }

  /** Undefined when there is nothing to be seen: it is not there yet, or not any more. */
  look({ now, lateMs, sleptMs, close, times }: Glance): Gauged | undefined {
    const procs = this.#procs.text();
    if (procs === undefined) return undefined;
    const pids = procs
      .split('\n', MOST_PROCESSES + 1)
      .filter(Boolean)
      .slice(0, MOST_PROCESSES)
      .map(Number);
    const { leaders, residentBytes, ownBytes, files, threads } = this.#lookAtProcesses(pids);
    const main = this.#mainAmong(leaders)?.look(close);
    const { page, durations } = this.#activity(now, times);
    const { named, complete } = this.#named(page, main, threads, close);
    const memoryEvents = this.#text('memory.events');
    const cpu = this.#text('cpu.stat');
    const tasks = this.#text('pids.events');
    const look: SandboxLook = {
      at: now,
      lateMs,
      sleptMs,
      page,
      cpuMs: milliseconds(fieldOf(cpu, 'usage_usec')),
      cpuUserMs: milliseconds(fieldOf(cpu, 'user_usec')),
      throttled: fieldOf(cpu, 'nr_throttled') ?? 0,
      memoryHigh: fieldOf(memoryEvents, 'high') ?? 0,
      forksRefused: fieldOf(tasks, 'max') ?? 0,
      frozen: (this.#events.text() ?? '').includes('frozen 1'),
      memoryBytes: numberOf(this.#text('memory.current')),
      ownBytes,
      processes: leaders.size,
      threads,
      descriptors: Math.max(0, ...files.values()),
      memoryPressure: parsePressure(this.#text('memory.pressure') ?? ''),
      main,
      named,
      complete,
    };
    return { look, residentBytes, counts: { memoryEvents, cpu, tasks, files, first: pids[0] }, durations };
  }

  release(): void {
    const files = [...this.#files.values(), this.#events, this.#procs, this.#page];
    for (const held of [...files, ...this.#processes.values(), ...this.#threads.values()]) held.release();
    this.#processes.clear();
    this.#threads.clear();
  }

  #lookAtProcesses(pids: readonly number[]) {
    const there = new Set(pids);
    for (const pid of this.#processes.keys()) if (!there.has(pid)) this.#drop(pid);
    const leaders = new Map<number, Leader>();
    const files = new Map<number, number>();
    let [residentBytes, ownBytes, threads] = [0, 0, 0];
    for (const pid of pids) {
      const process = this.#process(pid);
      // Init is ours: it is no part of what is judged.
      if (process === undefined || process.inner === 1) continue;
      const leader = process.leader.stat();
      if (leader === undefined) {
        // Its number may be another's by now.
        this.#drop(pid);
        continue;
      }
      leaders.set(pid, { parent: leader.parent, inner: process.inner });
      const [, resident = 0, shared = 0] = (process.memory.text() ?? '').split(' ', 3).map(Number);
      residentBytes += resident * PAGE_BYTES;
      ownBytes += Math.max(0, resident - shared) * PAGE_BYTES;
      threads += leader.threads;
      files.set(pid, filesOf(pid));
    }
    return { leaders, residentBytes, ownBytes, files, threads };
  }

  #drop(pid: number): void {
    this.#processes.get(pid)?.release();
    this.#processes.delete(pid);
  }

  #process(pid: number): ProcessFiles | undefined {
    const known = this.#processes.get(pid);
    if (known !== undefined) return known;
    const inner = innerId(readProc(pid, 'status') ?? '');
    if (inner === undefined) return undefined;
    const leader = new TaskFiles(pid, pid, inner);
    const memory = new KeptFile(`/proc/${pid}/statm`);
    const process: ProcessFiles = {
      inner,
      leader,
      memory,
      release: () => {
        leader.release();
        memory.release();
      },
    };
    this.#processes.set(pid, process);
    return process;
  }

  /** The main thread of the oldest child of init. */
  #mainAmong(leaders: ReadonlyMap<number, Leader>): TaskFiles | undefined {
    if (this.#main === undefined || !leaders.has(this.#main)) {
      const init = [...this.#processes].find(([, { inner }]) => inner === 1)?.[0];
      const children = [...leaders].filter(([, { parent }]) => parent === init);
      this.#main = children.sort(([, one], [, other]) => one.inner - other.inner)[0]?.[0];
    }
    return this.#main === undefined ? undefined : this.#processes.get(this.#main)?.leader;
  }

  #activity(now: number, times: boolean): { page: ActivityPage | undefined; durations: readonly number[] } {
    const count = this.#page.readInto(times ? whole : head) ?? 0;
    if (count < head.length) return { page: undefined, durations: [] };
    const page = this.#pageIn(now);
    if (!times || page === undefined) return { page, durations: [] };
    const { durations, newest } = parseRecordedTimes(whole.subarray(0, count), this.#recorded, now);
    this.#recorded = newest;
    return { page, durations };
  }

  #pageIn(now: number): ActivityPage | undefined {
    const { bytes, page } = this.#seen ?? {};
    const same = bytes !== undefined && head.compare(bytes, FIRST_SLOT, head.length, FIRST_SLOT) === 0;
    if (same && page !== undefined) return parseHeaderAgain(head, page, now);
    const parsed = parseActivityPage(head, now);
    this.#seen = parsed === undefined ? undefined : { bytes: Buffer.from(head), page: parsed };
    return parsed;
  }

  /** The main loop's thread, and those that have a request in hand. */
  #named(page: ActivityPage | undefined, main: TaskLook | undefined, threads: number, close: boolean) {
    const busy = inFlight(page).map(({ tid }) => tid);
    const wanted = new Set([page?.loopTid, ...busy].filter((tid) => tid !== undefined).slice(0, MOST_THREADS));
    const named = new Map<number, TaskLook>();
    if (main !== undefined && wanted.delete(main.innerTid)) named.set(main.innerTid, main);
    for (const [tid, files] of this.#threads) {
      if (wanted.has(tid)) continue;
      files.release();
      this.#threads.delete(tid);
    }
    let complete = true;
    for (const tid of wanted) {
      const look = this.#threads.get(tid)?.look(close) ?? this.#found(tid, threads)?.look(close);
      if (look !== undefined) named.set(tid, look);
      else complete &&= threads <= MOST_SEARCHED;
    }
    return { named, complete };
  }

  #found(inner: number, threads: number): TaskFiles | undefined {
    this.#threads.get(inner)?.release();
    this.#threads.delete(inner);
    if (this.#notThere.get(inner) === threads) return undefined;
    const place = this.#search(inner);
    if (place === undefined) {
      // Each id that the page can name is one entry at most.
      if (this.#notThere.size >= MOST_THREADS) this.#notThere.clear();
      this.#notThere.set(inner, threads);
      return undefined;
    }
    const files = new TaskFiles(...place, inner);
    this.#threads.set(inner, files);
    return files;
  }

  #search(wanted: number): [pid: number, tid: number] | undefined {
    let left = MOST_SEARCHED;
    for (const [pid, { inner }] of this.#processes) {
      // Init and its threads serve nobody, whatever a page says.
      if (inner === 1) continue;
      if (inner === wanted) return [pid, pid];
      for (const name of tasksOf(pid)) {
        if (left-- <= 0) return undefined;
        if (innerId(readProc(pid, `task/${name}/status`) ?? '') === wanted) return [pid, Number(name)];
      }
    }
    return undefined;
  }

  #text(name: (typeof FILES)[number]): string | undefined {
    return this.#files.get(name)?.text();
  }
}

interface Leader {
  readonly parent: number;
  readonly inner: number;
}

function tasksOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    // It ended meanwhile.
    return [];
  }
}

function numberOf(text: string | undefined): number | undefined {
  const value = text?.trim() ?? '';
  return /^\d+$/.test(value) ? Number(value) : undefined;
}

function milliseconds(us: number | undefined): number | undefined {
  return us === undefined ? undefined : us / 1000;
}
