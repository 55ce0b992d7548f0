/** One line of a seccomp list, as `bulkhead-seccomp rules` prints it. */
export interface Rule {
  readonly call: string;
  /** The error that the call gives instead of being executed; '' where it is allowed. */
  readonly errno: string;
  readonly conditions: readonly Condition[];
  readonly reason: string;
}

/** A demand on one argument: it is one of the values, or (`without`) has none of the bits of the only one. */
export interface Condition {
  /** As written: `request=TCGETS,TIOCGWINSZ`. */
  readonly text: string;
  readonly argument: number;
  readonly without: boolean;
  /** In decimal, in the order in which they are written. */
  readonly values: readonly string[];
}

/** Which argument of a call init looks at, and what it found; each call, value and answer once. */
export interface SeenCall {
  /** Its name, its number where init has no name for it, or `x32:39` and the like. */
  readonly call: string;
  /** Index of the argument, -1 for calls without one that is looked at. */
  readonly argument: number;
  /** Its value in decimal. */
  readonly value: string;
  /** There were more values than are told. */
  readonly more: boolean;
  readonly answer: 'allowed' | 'answered' | 'refused';
  /** The error number that the caller got, 0 when the call was allowed. */
  readonly errno: number;
}

/** Reads what `bulkhead-seccomp rules` prints: our own program, so that anything odd is a defect. */
export function parseRules(text: string): Rule[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Rule);
}

/**
 * Whether the line can be the one by which the call, with this argument, got its answer. Conditions on arguments that are
 * not looked at are taken as met; lines that differ in those alone are told apart by the answer.
 */
export function isAbout(rule: Rule, seen: SeenCall): boolean {
  if (rule.call !== seen.call || !rule.conditions.every((condition) => holds(condition, seen))) return false;
  return seen.answer === 'refused' || (rule.errno === '') === (seen.answer === 'allowed');
}

function holds({ argument, without, values }: Condition, seen: SeenCall): boolean {
  if (argument !== seen.argument) return true;
  const value = BigInt(seen.value);
  return without ? values.every((bits) => (value & BigInt(bits)) === 0n) : values.some((one) => BigInt(one) === value);
}

/** The line of a list, without its reason. */
export function ruleText({ call, conditions, errno }: Rule): string {
  return [call, ...conditions.map(({ text }) => text), ...(errno === '' ? [] : [`errno=${errno}`])].join(' ');
}

/** The line with its values narrowed to those that hold for one of the calls; undefined when none does. */
export function narrowed(rule: Rule, seen: readonly SeenCall[]): Rule | undefined {
  const about = seen.filter((one) => isAbout(rule, one));
  if (about.length === 0) return undefined;
  if (about.some(({ more }) => more)) return rule;
  return { ...rule, conditions: rule.conditions.map((condition) => narrow(condition, about)) };
}

function narrow(condition: Condition, seen: readonly SeenCall[]): Condition {
  const { argument, without, values, text } = condition;
  if (without || seen.some((one) => one.argument !== argument)) return condition;
  const [name = ''] = text.split('=', 1);
  const names = text.slice(name.length + 1).split(',');
  const used = values.flatMap((value, index) =>
    seen.some((one) => BigInt(one.value) === BigInt(value)) ? [{ value, name: names[index] ?? value }] : [],
  );
  return {
    ...condition,
    values: used.map(({ value }) => value),
    text: `${name}=${used.map((one) => one.name).join(',')}`,
  };
}
