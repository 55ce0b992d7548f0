import { FAILURE_CLASS_NAMES, type FailureClass } from '../base/failure-class.ts';
import type { Declaration } from './declaration.ts';
import type { Chain, Chains, PlainStep, RaisableLimit, RiskyWindow, Scheduled, Step } from './recovery.ts';
import { fieldOf, must, type Source, sourceOf } from './source.ts';
import type { TreeNode } from './tree.ts';
import {
  readBackoff,
  readDays,
  readJitter,
  readLogTime,
  readLongTime,
  readRaise,
  readStepDelay,
  readTimeOfDay,
  readUpTo,
} from './values.ts';

export function convertRecovery(source: Source): Declaration['recovery'] {
  const text = (key: string) => source.text(`recovery.${key}`);
  const risky = toRisky(source);
  return {
    backoff: {
      initialMs: must('recovery.backoff.initial', readBackoff(text('backoff.initial'))),
      maxMs: must('recovery.backoff.max', readBackoff(text('backoff.max'))),
      factor: Number(text('backoff.factor')),
      jitter: must('recovery.backoff.jitter', readJitter(text('backoff.jitter'))),
      resetMs: must('recovery.backoff.reset', readLongTime(text('backoff.reset'))),
    },
    budget: {
      restarts: Number(text('budget.restarts')),
      withinMs: must('recovery.budget.within', readLongTime(text('budget.within'))),
    },
    chains: toChains(source),
    ...(risky === undefined ? {} : { risky }),
  };
}

/** Classes of which `recovery.default` says nothing: they mean another kind of trouble than a sandbox that fails. */
const OF_THEIR_OWN: readonly FailureClass[] = ['leak', 'unkillable', 'hardware'];

function toChains(source: Source): Chains {
  const general = chainAt(source, 'default');
  const saysGeneral = source.find('recovery.default') !== undefined;
  const chains = FAILURE_CLASS_NAMES.map((name) => {
    const isNamed = source.find(`recovery.${name}`) !== undefined;
    if (isNamed || !saysGeneral || OF_THEIR_OWN.includes(name)) return [name, chainAt(source, name)];
    source.note(`recovery.${name}`, source.find('recovery.default'));
    return [name, general];
  });
  return { ...Object.fromEntries(chains), default: general } as Chains;
}

function chainAt(source: Source, name: string): Chain {
  const items = source.listOr(`recovery.${name}`);
  return items.map((item, index) => toStep(item, index === items.length - 1));
}

/** Steps that are taken as often as there is need and budget, where nothing is said. */
const REPEATED: readonly Step['kind'][] = ['restart', 'replace', 'recycle', 'quarantine'];

function toStep(item: TreeNode, isLast: boolean): Step {
  const [entry] = item.kind === 'map' ? item.entries : [];
  const [kind, settings] = entry === undefined ? [sourceOf(item), item] : [entry[0], entry[1].value];
  const text = (name: string) =>
    fieldOf(settings, `recovery.*[].${['raise', 'run'].includes(kind) ? kind : '*'}`, name);
  const times = text('times');
  const always = isLast || REPEATED.includes(kind as Step['kind']);
  const common = {
    delayMs: must('recovery.*[].*.delay', readStepDelay(text('delay'))),
    times: times === '' ? (always ? ('any' as const) : 1) : Number(times),
    risky: text('risky') === 'true',
  };
  if (kind === 'raise') {
    return {
      kind,
      limit: text('limit') as RaisableLimit,
      by: must('recovery.*[].raise.by', readRaise(text('by'))),
      most: must('recovery.*[].raise.most', readUpTo(text('most'))),
      ...common,
    };
  }
  if (kind === 'run') {
    return { kind, words: wordsOf(settings), timeoutMs: must(kind, readLogTime(text('timeout'))), ...common };
  }
  return { kind: kind as PlainStep['kind'], ...common };
}

function wordsOf(node: TreeNode): string[] {
  const list = node.kind === 'map' ? node.entries.get('command')?.value : node;
  return list?.kind === 'list' ? list.items.map(sourceOf) : [];
}

/** Absent unless both ends are said; one alone is a problem. */
function toRisky(source: Source): RiskyWindow | undefined {
  const key = 'recovery.risky';
  source.note(key, source.find(key));
  const days = must(`${key}.days`, readDays(source.text(`${key}.days`)));
  const [from, to] = [source.text(`${key}.from`), source.text(`${key}.to`)];
  if (from === '' || to === '') return undefined;
  const minuteOf = (end: string, text: string) => must(`${key}.${end}`, readTimeOfDay(text));
  return { days, fromMinute: minuteOf('from', from), toMinute: minuteOf('to', to) };
}

export function convertSchedule(source: Source): readonly Scheduled[] {
  return source.list('schedule').map((item) => ({ action: 'recycle', cron: fieldOf(item, 'schedule[]', 'recycle') }));
}
