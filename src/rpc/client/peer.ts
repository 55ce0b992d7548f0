import { Attempt } from './attempt.ts';
import type { Candidate } from './choice.ts';
import type { CrashToken, SandboxFacts, SandboxState } from './discovery-message.ts';
import { type BreakerChange, Health, type Outcome } from './health.ts';
import { Link, type Loss } from './link.ts';
import type { OwnTime } from './own-time.ts';
import type { Settings } from './settings.ts';

/** Who can be called, as far as it is told: `gone` is who was told of and is not any more. */
export interface PeerFacts extends Omit<SandboxFacts, 'generation' | 'state'> {
  /** undefined: a server that was started by hand. */
  readonly generation: number | undefined;
  readonly state: SandboxState | 'gone';
}

export interface PeerEvents {
  /** Calls may be sent, or may not any more, where it was otherwise before. */
  readonly changed: () => void;
  /** There may be room for a call. */
  readonly room: () => void;
  readonly breaker: BreakerChange;
  /** Whether somebody else may be called. */
  readonly others: (method: string, now: number) => boolean;
}

/** Three in a row, as everywhere; then a second, and twice as long each time, up to half a minute. */
const BREAKER = { strikes: 3, openMs: 1000, longestOpenMs: 30_000 };
/** Before a connection is made again: at first, and at most, ms. */
const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;

/** A sandbox, or a server that was started by hand: the connections to it, and how it answers. */
export class Peer implements Candidate {
  readonly health: Health;
  readonly time: OwnTime;
  /** Requests that were sent to it. */
  calls = 0;
  readonly #settings: Settings;
  readonly #events: PeerEvents;
  readonly #links = new Set<Link>();
  #facts: PeerFacts;
  #pauseMs = FIRST_PAUSE_MS;
  #timer: NodeJS.Timeout | undefined;
  /** It said itself that it is about to stop, since when nothing else was told of it. */
  #drains = false;
  #lastLoss: Loss | undefined;
  #lastError: string | undefined;

  constructor(settings: Settings, time: OwnTime, facts: PeerFacts, events: PeerEvents) {
    this.#settings = settings;
    this.time = time;
    this.#facts = facts;
    this.#events = events;
    this.health = new Health(BREAKER, (method, state) => {
      events.breaker(method, state);
      events.changed();
    });
    this.#connect();
  }

  get facts(): PeerFacts {
    return this.#facts;
  }

  get generation(): number | undefined {
    return this.#facts.generation;
  }

  get slot(): string {
    return this.#facts.slot;
  }

  get weight(): number {
    return this.#facts.weight;
  }

  get score(): number {
    return this.#facts.score;
  }

  get outstanding(): number {
    let sum = 0;
    for (const link of this.#links) sum += link.pending.size;
    return sum;
  }

  /** It is to get calls, and can be reached. */
  get serves(): boolean {
    return this.isReady && this.#isUp();
  }

  /** It is to get calls, whether or not it can be reached. */
  get isReady(): boolean {
    return this.#facts.state === 'ready' && !this.#drains;
  }

  /** Nothing is left of it. */
  get isOver(): boolean {
    return this.#facts.state === 'gone' && this.#links.size === 0;
  }

  /** Why there is no connection, as far as it is known. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  hasRoom(): boolean {
    for (const link of this.#links) if (link.free) return true;
    return false;
  }

  /** A request that is to be sent to it. Only after `hasRoom`. */
  attempt(caller: ConstructorParameters<typeof Attempt>[0], now: number): Attempt | undefined {
    const link = this.#freest();
    return link === undefined ? undefined : new Attempt(caller, this, link, now);
  }

  /** @returns whether it was sent. @throws NotSendable */
  notify(method: string, params: readonly unknown[]): boolean {
    const link = this.#freest();
    link?.notify(method, params);
    return link !== undefined;
  }

  othersFor(method: string, now: number): boolean {
    return this.#events.others(method, now);
  }

  /** What the loss of a connection says, once for all requests on it. */
  lossTells(loss: Loss): Outcome {
    if (loss.reason === 'garbage') return 'garbage';
    if (loss.reason === 'told' || this.#lastLoss === loss) return 'nothing';
    this.#lastLoss = loss;
    return 'silent';
  }

  /** It is told of anew. */
  update(facts: PeerFacts): void {
    if (facts.state !== this.#facts.state) this.#drains = false;
    this.#facts = facts;
    if (this.#wanted()) this.#connect();
    else if (facts.state === 'draining' || facts.state === 'gone') this.#retire();
  }

  /** It died: what is in its hands is lost, whether or not the connections know it. */
  crashed(token: CrashToken): void {
    this.#facts = { ...this.#facts, state: 'gone' };
    this.#end(token.text);
  }

  /** Ends everything at once. */
  close(): void {
    this.#facts = { ...this.#facts, state: 'gone' };
    this.#end('the client was closed', 'closed');
  }

  /** Looks what time says of all that it has in its hands. @returns how many requests there are */
  tick(now: number): number {
    let count = 0;
    for (const link of this.#links) {
      count += link.pending.size;
      for (const pending of link.pending.values()) if (pending instanceof Attempt) pending.tick(now);
      if (link.state === 'up' && link.upSince < this.health.mutedAt) this.#renew(link);
    }
    return count;
  }

  /** Whoever answered nothing has to answer a greeting before a call is risked again; nobody waits on a connection for less. */
  #renew(link: Link): void {
    for (const pending of link.pending.values()) if (pending instanceof Attempt && !pending.abandoned) return;
    link.destroy('it answered nothing', 'closed');
  }

  #wanted(): boolean {
    const { state, generation } = this.#facts;
    if (state === 'gone' || state === 'draining') return false;
    // By hand nobody tells that another one is there now.
    return generation === undefined || !this.#drains;
  }

  #isUp(): boolean {
    for (const link of this.#links) if (link.state === 'up') return true;
    return false;
  }

  #freest(): Link | undefined {
    let found: Link | undefined;
    for (const link of this.#links)
      if (link.free && (found === undefined || link.pending.size < found.pending.size)) found = link;
    return found;
  }

  #connect(): void {
    if (this.#timer !== undefined) return;
    let missing = this.#settings.connections;
    for (const link of this.#links) if (link.state !== 'draining') missing--;
    for (; missing > 0; missing--) this.#links.add(this.#link());
  }

  #link(): Link {
    const link = new Link({
      path: this.#facts.socket,
      name: this.#settings.name,
      frameLimit: this.#settings.frameLimit,
      up: () => {
        this.#lastError = undefined;
        // Whoever is there now by hand is not who said that he is about to stop.
        if (this.generation === undefined) this.#drains = false;
        this.#events.changed();
      },
      draining: () => {
        this.#drains = true;
        for (const other of this.#links) if (other !== link && other.state === 'up') other.retire();
        this.#events.changed();
      },
      room: this.#events.room,
      ended: (loss) => {
        this.#links.delete(link);
        this.#lastError = loss.message;
        // Somebody who ends each connection at once is not called more often for letting it begin.
        if (performance.now() - link.upSince >= LONGEST_PAUSE_MS) this.#pauseMs = FIRST_PAUSE_MS;
        this.#events.changed();
        this.#connectLater();
      },
    });
    return link;
  }

  #connectLater(): void {
    if (this.#timer !== undefined || !this.#wanted()) return;
    const pauseMs = this.#pauseMs * (0.5 + Math.random() / 2);
    this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#wanted()) this.#connect();
    }, pauseMs);
  }

  /** Nothing new is sent; what is in its hands is waited for. */
  #retire(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const link of this.#links) link.retire();
    this.#events.changed();
  }

  #end(message: string, code?: Loss['code']): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const link of [...this.#links]) link.destroy(message, code);
    this.#events.changed();
  }
}
