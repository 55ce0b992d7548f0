import { asFailure, Failure } from '../base/failure.ts';

interface Rule {
  users: number;
  /** The bus has taken the rule at least once. */
  proven: boolean;
  readonly added: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (failure: Failure) => void;
}

/** How rules reach the bus daemon; rejects with a Failure. */
export type RuleCall = (member: 'AddMatch' | 'RemoveMatch', rule: string) => Promise<unknown>;

/**
 * Match rules with the number of their users. The bus daemon holds each rule once, as long as somebody uses it;
 * a new connection gets them all again.
 */
export class MatchRules {
  readonly #rules = new Map<string, Rule>();
  readonly #call: RuleCall;
  readonly #onLost: (reason: string) => void;
  #connected = false;

  /** `onLost`: the bus does not answer, the connection should be given up. */
  constructor(call: RuleCall, onLost: (reason: string) => void) {
    this.#call = call;
    this.#onLost = onLost;
  }

  get size(): number {
    return this.#rules.size;
  }

  /** Counts a user of the rule. Resolves when the bus has the rule; rejects when it refuses it. */
  use(text: string): Promise<void> {
    const known = this.#rules.get(text);
    if (known !== undefined) {
      known.users += 1;
      return known.added;
    }
    let resolve = (): void => undefined;
    let reject = (_: Failure): void => undefined;
    const added = new Promise<void>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    added.catch(() => undefined);
    const rule: Rule = { users: 1, proven: false, added, resolve, reject };
    this.#rules.set(text, rule);
    if (this.#connected) void this.#add(text, rule);
    return added;
  }

  drop(text: string): void {
    const rule = this.#rules.get(text);
    if (rule === undefined) return;
    rule.users -= 1;
    if (rule.users > 0) return;
    this.#rules.delete(text);
    rule.reject(new Failure('BH501', `${text}: given up`));
    // The bus handles AddMatch first, should that be under way; a lost connection takes its rules along.
    if (this.#connected) this.#call('RemoveMatch', text).catch(() => undefined);
  }

  /** A new connection: adds all rules; from now on changes go to the bus at once. */
  async connected(): Promise<void> {
    this.#connected = true;
    await Promise.all([...this.#rules].map(([text, rule]) => this.#add(text, rule)));
  }

  disconnected(): void {
    this.#connected = false;
  }

  /** Nobody will ever connect again. */
  release(): void {
    for (const [text, rule] of this.#rules) rule.reject(new Failure('BH501', `${text}: given up`));
    this.#rules.clear();
  }

  async #add(text: string, rule: Rule): Promise<void> {
    try {
      await this.#call('AddMatch', text);
      rule.proven = true;
      rule.resolve();
    } catch (thrown) {
      const failure = asFailure(thrown);
      if (failure.code === 'BH501') return; // the next connection adds it
      if (rule.proven || failure.code !== 'BH504') {
        this.#onLost(failure.message);
      } else {
        // Refused from the start (too many, or not a rule): it must not stand in the way of the others.
        if (this.#rules.get(text) === rule) this.#rules.delete(text);
        rule.reject(failure);
      }
    }
  }
}
