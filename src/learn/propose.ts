import { isAbout, narrowed, type Rule, ruleText, type SeenCall } from './rule.ts';

/** What a run showed about a plugin's filter. All lines are as in a list, without their reasons. */
export interface Proposal {
  /** The smallest list that would have allowed the run. */
  readonly list: readonly Rule[];
  /** Of the filter as it is: lines, or values of lines, that nothing used. */
  readonly unused: readonly string[];
  /** Calls that the filter as it is does not allow, or answers otherwise. */
  readonly missing: readonly string[];
  /** Calls that were refused, because no profile has them. */
  readonly refused: readonly string[];
}

/**
 * Init's own work under the filter, and the way in which a program ends, be it by abort(3), which no run may have shown.
 */
const ALWAYS = [
  'sendmsg',
  'write',
  'exit_group',
  'exit',
  'rt_sigreturn',
  'restart_syscall',
  'rt_sigaction',
  'rt_sigprocmask',
  'getpid',
  'gettid',
  'tgkill',
];

/** Init executes the program; nobody executes another one. */
const EXECVE_OF_INIT: Rule = {
  call: 'execve',
  errno: '',
  conditions: [{ text: 'arg5=INIT', argument: 5, without: false, values: [] }],
  reason: 'init executes the program; none was started by it',
};

/**
 * @param ceiling what the run was held to
 * @param current the plugin's filter as it is
 */
export function propose(seen: readonly SeenCall[], ceiling: readonly Rule[], current: readonly Rule[]): Proposal {
  const granted = seen.filter(({ answer }) => answer !== 'refused');
  // A list of the administrator's own may have what no profile has; the run could not try it.
  const untried = seen.filter((one) => one.answer === 'refused' && ruleFor(current, one) !== undefined);
  const refused = seen.filter((one) => one.answer === 'refused' && !untried.includes(one));
  const list = [...chosen(ceiling, granted), ...chosen(current, untried), ...ends(ceiling, granted)];
  return {
    list: withoutDoubles(list),
    unused: current.filter(({ call }) => !ALWAYS.includes(call)).flatMap((rule) => unusedOf(rule, seen)),
    missing: unique(
      granted.filter((one) => !isSame(ruleFor(current, one), ruleFor(ceiling, one))),
      ceiling,
    ),
    refused: unique(refused, ceiling),
  };
}

/** The text of a list that can be put into /etc/bulkhead/seccomp. @param head comment lines for its beginning */
export function listText(list: readonly Rule[], head: readonly string[]): string {
  const lines = list.map((rule) => [ruleText(rule), rule.reason] as const);
  const width = Math.min(40, Math.max(0, ...lines.map(([text]) => text.length)));
  return [
    ...head.map((line) => `# ${line}`),
    '',
    ...lines.map(([text, reason]) => `${text.padEnd(width)}  # ${reason}`),
    '',
  ].join('\n');
}

function ruleFor(rules: readonly Rule[], seen: SeenCall): Rule | undefined {
  return rules.find((rule) => isAbout(rule, seen));
}

function isSame(one: Rule | undefined, other: Rule | undefined): boolean {
  return one !== undefined && one.errno === other?.errno;
}

/** The lines that were needed, with the values that were needed: as few lines as allow all that was seen. */
function chosen(rules: readonly Rule[], seen: readonly SeenCall[]): Rule[] {
  const candidates = (one: SeenCall): Rule[] => rules.filter((rule) => isAbout(rule, one));
  const picked = new Set<Rule>();
  for (const one of seen) {
    const [only, ...others] = candidates(one);
    if (only !== undefined && others.length === 0) picked.add(only);
  }
  for (const one of seen) {
    const [first, ...others] = candidates(one);
    if (first !== undefined && ![first, ...others].some((rule) => picked.has(rule))) picked.add(first);
  }
  return rules.filter((rule) => picked.has(rule)).flatMap((rule) => narrowed(rule, seen) ?? []);
}

/** What a list cannot do without, whatever was seen. */
function ends(ceiling: readonly Rule[], seen: readonly SeenCall[]): Rule[] {
  const always = ceiling.filter(({ call, conditions }) => ALWAYS.includes(call) && conditions.length === 0);
  return seen.some(({ call }) => call === 'execve') ? always : [EXECVE_OF_INIT, ...always];
}

function withoutDoubles(rules: readonly Rule[]): Rule[] {
  const texts = rules.map(ruleText);
  return rules.filter((_, index) => texts.indexOf(texts[index] ?? '') === index);
}

/** The line, or those of its values that nothing used. */
function unusedOf(rule: Rule, seen: readonly SeenCall[]): string[] {
  const about = seen.filter((one) => isAbout(rule, one));
  if (rule.call === 'execve') return rule.conditions.length > 0 || about.length > 0 ? [] : [ruleText(rule)];
  if (about.length === 0) return [ruleText(rule)];
  const used = narrowed(rule, about);
  return rule.conditions.flatMap((condition, index) => {
    const rest = valuesOf(condition.text).filter(
      (name) => !valuesOf(used?.conditions[index]?.text ?? '').includes(name),
    );
    if (rest.length === 0) return [];
    return [`${rule.call} ${condition.text.split('=', 1)[0]}=${rest.join(',')}`];
  });
}

function valuesOf(text: string): readonly string[] {
  return text.slice(text.indexOf('=') + 1).split(',');
}

/** The calls in the words of a list, each once. */
function unique(seen: readonly SeenCall[], rules: readonly Rule[]): string[] {
  return [...new Set(seen.map((one) => describe(one, rules)))];
}

function describe(seen: SeenCall, rules: readonly Rule[]): string {
  if (seen.argument < 0) return seen.call;
  const more = seen.more ? ' and others' : '';
  for (const rule of rules.filter(({ call }) => call === seen.call)) {
    const [condition] =
      narrowed({ ...rule, conditions: rule.conditions.filter(({ without }) => !without) }, [seen])?.conditions ?? [];
    if (condition !== undefined) return `${seen.call} ${condition.text}${more}`;
  }
  return `${seen.call} arg${seen.argument}=0x${BigInt(seen.value).toString(16)}${more}`;
}
