import { formatDuration } from '../base/duration.ts';
import { type Course, LATE_MS } from './course.ts';
import type { SandboxLook, Terms } from './look.ts';
import type { Standing } from './thread-state.ts';
import type { Excuse, ExcuseCheck } from './verdict.ts';

/** All that could make a sandbox look ill, each looked at, for whoever reads the verdict. */
export function checkExcuses(
  { looks, stoppedSince }: Course,
  standings: ReadonlySet<Standing>,
  terms: Terms,
): ExcuseCheck[] {
  const first = looks[0];
  const last = looks.at(-1);
  const grew = (field: (look: SandboxLook) => number): number =>
    first === undefined || last === undefined ? 0 : field(last) - field(first);
  const late = Math.max(0, ...looks.map(({ lateMs }) => lateMs));
  const slept = Math.max(0, ...looks.map(({ sleptMs }) => sleptMs));
  const throttled = grew((look) => look.throttled);
  const slowed = grew((look) => look.memoryHigh);
  const faults = grew((look) => look.main?.majorFaults ?? 0);
  const since = formatDuration(Math.round(grew((look) => look.at)));
  const checks: Record<Excuse, readonly [boolean, string]> = {
    'supervisor-late': [late >= LATE_MS, `at most ${Math.round(late)} ms late in the last ${looks.length} looks`],
    'clock-jump': [
      slept > 0,
      slept > 0 ? `the machine slept for ${Math.round(slept)} ms` : 'the machine did not sleep',
    ],
    frozen: [last?.frozen === true, last?.frozen === true ? 'its cgroup is frozen' : 'its cgroup is not frozen'],
    stopped: [stoppedSince !== undefined, `state ${last?.main?.state ?? 'unknown'} of the main thread`],
    debugged: [standings.has('traced'), standings.has('traced') ? 'a debugger holds it' : 'no debugger holds it'],
    throttled: [standings.has('throttled'), `${throttled} periods at the CPU quota in ${since}`],
    starved: [standings.has('starved'), waiting(first, last)],
    paging: [standings.has('paging'), `${faults} major page faults of the main thread in ${since}`],
    'memory-high': [slowed > 0, `slowed down ${slowed} times at memory-high in ${since}`],
    starting: [terms.starting, terms.starting ? 'it is not ready yet' : 'it is ready'],
    'no-traffic': [terms.withoutTraffic, terms.withoutTraffic ? 'it is kept from traffic' : 'it may have traffic'],
  };
  return Object.entries(checks).map(([excuse, [applies, detail]]) => ({ excuse: excuse as Excuse, applies, detail }));
}

function waiting(first: SandboxLook | undefined, last: SandboxLook | undefined): string {
  const [one, other] = [first?.main, last?.main];
  if (one === undefined || other === undefined || one.tid !== other.tid) return 'not known of the main thread';
  const [run, wait] = [other.runMs - one.runMs, other.waitMs - one.waitMs];
  return `main thread: ${Math.round(run)} ms on a CPU, ${Math.round(wait)} ms waiting for one`;
}
