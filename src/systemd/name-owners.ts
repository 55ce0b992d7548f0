import { asFailure } from '../base/failure.ts';
import { owned } from '../base/owner.ts';
import type { CallParts, Subscription } from './bus.ts';
import { Listeners } from './listeners.ts';
import type { MatchRules } from './match-rules.ts';
import { DBUS_NAME, DBUS_PATH, matchRule, type SignalPattern, type SignalRouter } from './signal-router.ts';

interface Tracked {
  users: number;
  owner: string | undefined;
  /** Counts changes, so that an older answer does not overwrite a newer signal. */
  changes: number;
  readonly ready: Promise<void>;
  readonly changed: Listeners<string | undefined>;
  release(): void;
}

type Request = (parts: CallParts) => Promise<unknown[]>;

/** Who owns the well-known names that matter to us, so that their signals can be told from forged ones. */
export class NameOwners {
  readonly #names = new Map<string, Tracked>();
  readonly #rules: MatchRules;
  readonly #router: SignalRouter;
  readonly #request: Request;
  readonly #onDefect: (thrown: unknown) => void;

  constructor(rules: MatchRules, router: SignalRouter, request: Request, onDefect: (thrown: unknown) => void) {
    this.#rules = rules;
    this.#router = router;
    this.#request = request;
    this.#onDefect = onDefect;
  }

  ownerOf(name: string): string | undefined {
    return this.#names.get(name)?.owner;
  }

  /** Unique names and the bus' own name belong to themselves: nothing is tracked for them. */
  track(name: string, changed?: (owner: string | undefined) => void): Subscription {
    if (name.startsWith(':') || name === DBUS_NAME) return { ready: Promise.resolve(), release: () => undefined };
    const tracked = this.#names.get(name) ?? this.#begin(name);
    tracked.users += 1;
    const listener = changed === undefined ? undefined : tracked.changed.add(changed);
    const subscription = owned(() => {
      listener?.release();
      tracked.users -= 1;
      if (tracked.users > 0) return;
      this.#names.delete(name);
      tracked.release();
    });
    return { ready: tracked.ready, release: () => subscription.release() };
  }

  /** A new connection: asks for all owners again; the match rules are in place already. */
  async refresh(): Promise<void> {
    await Promise.all([...this.#names].map(([name, tracked]) => this.#ask(name, tracked)));
  }

  /** Without a connection nothing is known of anybody. */
  forget(): void {
    for (const tracked of this.#names.values()) {
      tracked.owner = undefined;
      tracked.changes += 1;
    }
  }

  #begin(name: string): Tracked {
    const pattern: SignalPattern = {
      sender: DBUS_NAME,
      path: DBUS_PATH,
      interface: DBUS_NAME,
      member: 'NameOwnerChanged',
      arg0: name,
    };
    const rule = matchRule(pattern);
    const entry = this.#router.add({
      pattern,
      run: ({ body }) => {
        tracked.changes += 1;
        set(tracked, body[2]);
      },
    });
    const added = this.#rules.use(rule);
    const tracked: Tracked = {
      users: 0,
      owner: undefined,
      changes: 0,
      ready: added.then(() => this.#ask(name, tracked)),
      changed: new Listeners(this.#onDefect),
      release: () => {
        entry.release();
        this.#rules.drop(rule);
      },
    };
    tracked.ready.catch(() => undefined);
    this.#names.set(name, tracked);
    return tracked;
  }

  async #ask(name: string, tracked: Tracked): Promise<void> {
    const before = tracked.changes;
    let owner: unknown;
    try {
      const call = { destination: DBUS_NAME, path: DBUS_PATH, interface: DBUS_NAME, member: 'GetNameOwner' };
      [owner] = await this.#request({ ...call, signature: 's', body: [name] });
    } catch (thrown) {
      if (asFailure(thrown).dbusName !== 'org.freedesktop.DBus.Error.NameHasNoOwner') throw thrown;
    }
    if (tracked.changes === before) set(tracked, owner);
  }
}

function set(tracked: Tracked, value: unknown): void {
  const owner = typeof value === 'string' && value !== '' ? value : undefined;
  if (owner === tracked.owner) return;
  tracked.owner = owner;
  tracked.changed.emit(owner);
}
