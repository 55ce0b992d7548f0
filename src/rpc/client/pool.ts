import type { BreakerState } from './breaker.ts';
import type { Call } from './call.ts';
import { Choice } from './choice.ts';
import type { CrashToken, SandboxFacts } from './discovery-message.ts';
import type { OwnTime } from './own-time.ts';
import { Peer } from './peer.ts';
import type { Settings } from './settings.ts';

export interface PoolEvents {
  /** Calls may find somebody where they did not before. */
  readonly room: () => void;
  readonly breaker: (peer: Peer, method: string | undefined, state: BreakerState) => void;
}

/** Why nobody takes a call: all have enough to do, all are kept away from, or nobody is there. */
export type Obstacle = 'full' | 'broken' | 'nobody';

/** All who can be called. */
export class Pool {
  readonly #settings: Settings;
  readonly #time: OwnTime;
  readonly #events: PoolEvents;
  /** By generation; undefined is a server that was started by hand. */
  readonly #peers = new Map<number | undefined, Peer>();
  /** Of those who serve; made anew when that changes. */
  #choice: Choice<Peer> | undefined;

  constructor(settings: Settings, time: OwnTime, events: PoolEvents) {
    this.#settings = settings;
    this.#time = time;
    this.#events = events;
  }

  get peers(): Iterable<Peer> {
    return this.#peers.values();
  }

  /** Somebody is there who is to get calls. */
  get serves(): boolean {
    return this.#serving().length > 0;
  }

  /** A server that was started by hand. */
  addByHand(socket: string): void {
    const facts = {
      generation: undefined,
      slot: '',
      version: '',
      state: 'ready' as const,
      score: 100,
      weight: 100,
      socket,
    };
    this.#add(undefined, new Peer(this.#settings, this.#time, facts, this.#peerEvents(undefined)));
  }

  /** All there are now. Who is not told of any more gets nothing new. */
  update(sandboxes: readonly SandboxFacts[]): void {
    const told = new Set(sandboxes.map(({ generation }) => generation));
    for (const peer of this.#peers.values())
      if (peer.generation === undefined || !told.has(peer.generation)) peer.update({ ...peer.facts, state: 'gone' });
    for (const facts of sandboxes) {
      const known = this.#peers.get(facts.generation);
      if (known !== undefined) known.update(facts);
      else this.#add(facts.generation, new Peer(this.#settings, this.#time, facts, this.#peerEvents(facts.generation)));
    }
    this.#changed();
  }

  crashed(token: CrashToken): void {
    this.#peers.get(token.generation)?.crashed(token);
    this.#changed();
  }

  /** Who is to have this call now. Those who had it already only if `again`. */
  pick(call: Call, now: number, again: boolean): Peer | undefined {
    this.#choice ??= new Choice(this.#serving());
    const choice = this.#choice;
    const { method } = call;
    const anybody = again || call.attempts === 0;
    const fits = (peer: Peer): boolean => peer.hasRoom() && (anybody || !call.wasWith(peer));
    const good = (peer: Peer): boolean => fits(peer) && (peer.health.spotless || peer.health.admits(method, now));
    return (
      choice.pick(good, Math.random) ?? choice.pick((peer) => fits(peer) && peer.health.isBearable(method), Math.random)
    );
  }

  /** Who could have a notification now. */
  pickForNotification(method: string, now: number): Peer | undefined {
    this.#choice ??= new Choice(this.#serving());
    return this.#choice.pick((peer) => peer.hasRoom() && peer.health.admits(method, now), Math.random);
  }

  /** Why `pick` found nobody. */
  obstacle(method: string, now: number): Obstacle {
    const serving = this.#serving();
    if (serving.length === 0) {
      // Those who answered nothing are not waited for as those are who are about to come.
      const ready = [...this.#peers.values()].filter((peer) => peer.isReady);
      return ready.length > 0 && ready.every(({ health }) => health.state !== 'closed') ? 'broken' : 'nobody';
    }
    const open = serving.some(({ health }) => health.admits(method, now) || health.isBearable(method));
    return open ? 'full' : 'broken';
  }

  /** @returns how many requests there are in all hands */
  tick(now: number): number {
    let count = 0;
    for (const peer of this.#peers.values()) count += peer.tick(now);
    return count;
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.close();
  }

  #add(generation: number | undefined, peer: Peer): void {
    this.#peers.set(generation, peer);
    this.#changed();
  }

  #serving(): Peer[] {
    return [...this.#peers.values()].filter((peer) => peer.serves);
  }

  #peerEvents(generation: number | undefined): ConstructorParameters<typeof Peer>[3] {
    return {
      changed: () => this.#changed(),
      room: this.#events.room,
      breaker: (method, state) => {
        const peer = this.#peers.get(generation);
        if (peer !== undefined) this.#events.breaker(peer, method, state);
      },
      others: (method, now) =>
        this.#serving().some((peer) => peer.generation !== generation && peer.health.admits(method, now)),
    };
  }

  #changed(): void {
    for (const [generation, peer] of this.#peers) if (peer.isOver) this.#peers.delete(generation);
    this.#choice = undefined;
    this.#events.room();
  }
}
