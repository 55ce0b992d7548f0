import { formatDuration } from '../base/duration.ts';
import type { FailureCode } from '../base/failure.ts';
import type { FailureClass } from '../base/failure-class.ts';
import { limitText } from '../plan/limit-texts.ts';
import type { PluginPlan } from '../plan/plan.ts';
import { describeExit, type Exit, signalName } from './exit.ts';
import { isMemoryDeath, type OutOfMemory, outOfMemoryText } from './out-of-memory.ts';
import type { Evidence, Verdict } from './verdict.ts';

/** All that is known of a sandbox that ended. Times in monotonic ms. */
export interface Death {
  /** What init reported; undefined for a start that failed before there was a payload. */
  readonly exit: Exit | undefined;
  /** Why the start failed. */
  readonly reason: { readonly code: FailureCode; readonly text: string } | undefined;
  readonly outOfMemory: OutOfMemory | undefined;
  /** Limits that it was at, how often, and in words. */
  readonly reached: readonly {
    readonly limit: string;
    readonly count: number;
    readonly text: string;
    readonly at: number;
  }[];
  /** What its startup probe said last. */
  readonly startup: string | undefined;
  readonly readyAt: number | undefined;
  readonly plan: PluginPlan;
  readonly now: number;
}

/** A limit that was reached within this time (ms) before the end may have to do with it. */
const LATELY_MS = 60_000;

/** So many forks refused (pids.max) are a bomb's; within this time (ms) before the end they are what it ended of. */
const MANY_FORKS = 100;
const JUST_NOW_MS = 5000;

/** Starts that failed for something that the sandbox was to be given. */
const LACKING: Partial<Record<FailureCode, string>> = {
  BH308: 'spawner',
  BH309: 'credential',
  BH310: 'state',
  BH311: 'image',
  BH313: 'activity-page',
  BH316: 'call-socket',
};

type Finding = Pick<Verdict, 'class' | 'kind' | 'confidence' | 'text'>;

/** What a sandbox died of. Every end gets a class; nothing is judged by one source that another contradicts. */
export function diagnoseDeath(death: Death): Verdict {
  const finding = death.reason === undefined ? ofEnd(death, death.exit) : ofStart(death.reason);
  return { ...finding, evidence: evidenceOf(death), excuses: [], traceIds: [] };
}

function ofStart({ code, text }: NonNullable<Death['reason']>): Finding {
  const lacking = LACKING[code];
  if (code === 'BH315') return found('not-ready', 'startup-probe', text);
  if (code === 'BH303') return found('not-ready', 'start-timeout', text);
  if (lacking !== undefined) return found('dependency', lacking, text);
  return found('start-failed', code === 'BH305' ? 'exec' : code === 'BH302' ? 'set-up' : undefined, text);
}

function ofEnd({ outOfMemory, reached, plan, now }: Death, exit: Exit = { how: 'unknown', status: 0 }): Finding {
  const text = describeExit(exit);
  const { forbidden, lostHelper } = exit;
  if (forbidden !== undefined) {
    const isExec = forbidden.call === 'execve' || forbidden.call === 'execveat';
    return found(isExec ? 'forbidden-exec' : 'forbidden-syscall', forbidden.call, text);
  }
  if (lostHelper !== undefined) return found('dependency', lostHelper === 'egress' ? 'forwarder' : lostHelper, text);
  const memory = isMemoryDeath(outOfMemory, exit, now);
  if (outOfMemory !== undefined && memory !== undefined) {
    const words = outOfMemoryText(outOfMemory, limitText('memoryMax', plan.limits).text);
    const kind = { sandbox: 'own-limit', plugin: 'slice', plugins: 'slice', host: undefined }[outOfMemory.whose];
    const of: FailureClass = outOfMemory.whose === 'host' ? 'oom-host' : 'oom';
    if (memory === 'killed') return { ...found(of, kind, words), confidence: exit.how === 'unknown' ? 0.8 : 1 };
    return { ...found(of, 'child', `${words}; a process of it was killed, then: ${text}`), confidence: 0.7 };
  }
  const forks = reached.find(({ limit }) => limit === 'tasks');
  if (forks !== undefined && forks.count >= MANY_FORKS && now - forks.at <= JUST_NOW_MS)
    return { ...found('fork-bomb', 'tasks', `limit reached: ${forks.text}, then: ${text}`), confidence: 0.7 };
  if (exit.how === 'unknown') return { ...found('crash', 'no-report', text), confidence: 0.5 };
  if (exit.how === 'exited') return found('exit', `status-${exit.status}`, text);
  return found('crash', signalName(exit.status), text);
}

function found(of: FailureClass, kind: string | undefined, text: string): Finding {
  return { class: of, kind, confidence: 1, text };
}

function evidenceOf({ exit, reason, reached, startup, readyAt, now }: Death): Evidence[] {
  const evidence: Evidence[] = [];
  const add = (what: string, value: string): void => {
    evidence.push({ what, value: value.slice(0, 200) });
  };
  if (exit !== undefined) add('exit report', exit.how === 'unknown' ? 'none' : describeExit(exit));
  if (reason !== undefined) add('start', `${reason.code} ${reason.text}`);
  if (exit?.forbidden !== undefined) {
    const { call, pid, tid } = exit.forbidden;
    add('system call', pid === 0 ? call : `${call}, by process ${pid}, thread ${tid} of the sandbox`);
  }
  add('ready', readyAt === undefined ? 'never' : `for ${formatDuration(Math.round(now - readyAt))}`);
  if (readyAt === undefined && startup !== undefined) add('startup probe', startup);
  if (exit?.childrenLeft === true) add('left behind', 'processes that outlived the main process');
  for (const { text, at } of reached) if (now - at <= LATELY_MS) add('limit reached', text);
  return evidence;
}
