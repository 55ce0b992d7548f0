import { closeSync } from 'node:fs';
import { Failure } from '../base/failure.ts';
import type { Listen } from '../declare/declaration.ts';
import { duplicate, isListening, queueLength, SystemCallFailure, setBlocking, wakeWaiters } from '../kernel/native.ts';
import { isListenerKeyOf, parseSlotKey, slotKey } from '../plan/listener-key.ts';
import type { BySlot, PlannedListener, SlotName, Weights } from '../plan/plan.ts';
import type { Pair } from './pair.ts';
import { tcpPair } from './tcp-pair.ts';
import { unixPair } from './unix-pair.ts';
import { percentOf, unite } from './weights.ts';

/** Keeps copies of descriptors over a restart of the supervisor; systemd's fd store is one. */
export interface DescriptorStore {
  store(name: string, fd: number): void;
  remove(name: string): void;
}

/** A copy of a slot's listener, by its key. */
export type Held = (plugin: string, key: string, listen: Listen) => number | undefined;

/** An address with its listeners. */
interface Kept {
  readonly listen: Listen;
  readonly fds: Partial<Record<SlotName, number>>;
  /** Percent of new connections that slot b's gets; undefined while only an earlier supervisor knows. */
  percentOfB: number | undefined;
}

/** Slots that get no connections any more, at one address at least, and slots that get some again. */
export interface Moved {
  readonly emptied: ReadonlySet<SlotName>;
  readonly filled: ReadonlySet<SlotName>;
}

/** A listener of a slot, as it stands. */
export interface SlotListener {
  readonly slot: SlotName;
  /** Percent of the new connections of its address that it gets. */
  readonly weight: number;
  /** Connections that wait to be accepted; of a Unix socket 1 stands for any number. Null: it does not listen any more. */
  readonly queued: number | null;
}

/** How a listener's place in the store is told from other descriptors there. */
export const LISTENER_PREFIX = 'listen.';

/**
 * All listening sockets of all plugins: two for each address, one for each slot, between which new connections are shared
 * out. The supervisor makes them, never accepts from them, and closes one only when its plugin is stopped; sandboxes
 * get copies. A copy in the fd store keeps each open while the supervisor is away.
 */
export class Listeners {
  readonly #store: DescriptorStore;
  readonly #kept = new Map<string, Kept>();
  readonly #inherited: Map<string, number>;
  readonly #held: Held;
  /** What each plugin's slots listen on. */
  readonly #sides = new Map<string, BySlot<readonly PlannedListener[]>>();

  /**
   * @param inherited descriptors that came back from the store, by name.
   * @param held one that the store has lost, from whoever of the plugin still has it
   */
  constructor(store: DescriptorStore, inherited: ReadonlyMap<string, number>, held: Held = () => undefined) {
    this.#store = store;
    this.#inherited = new Map(inherited);
    this.#held = held;
  }

  /**
   * Makes the plugin's sockets that are missing, closes those that no slot listens on any more, and shares connections
   * out. On an error none is there that was not there before.
   * Throws BH206 when an address is taken, BH207 when it cannot be bound, BH220 when connections cannot be shared out.
   */
  async ensure(plugin: string, sides: BySlot<readonly PlannedListener[]>, weights: Weights): Promise<Moved> {
    const planned = unite(sides);
    const fresh = planned.map(({ key }) => key).filter((key) => !this.#kept.has(key) && !this.#inherited.has(key));
    try {
      for (const { key, listen } of planned) await this.#complete(plugin, key, listen);
    } catch (error) {
      this.#close(fresh);
      throw error;
    }
    const wanted = new Set(planned.map(({ key }) => key));
    this.#close(this.#keysOf(plugin).filter((key) => !wanted.has(key)));
    this.#makeBlock(plugin, sides);
    this.#sides.set(plugin, sides);
    return this.weigh(plugin, weights);
  }

  /**
   * Shares the plugin's new connections out between its slots; where one slot alone listens, it gets all of them. To be
   * asked for as often as one likes. Throws BH220.
   */
  weigh(plugin: string, weights: Weights): Moved {
    const sides = this.#sides.get(plugin) ?? {};
    const [emptied, filled] = [new Set<SlotName>(), new Set<SlotName>()];
    for (const key of this.#keysOf(plugin)) {
      const kept = this.#kept.get(key);
      if (kept === undefined) continue;
      const before = kept.percentOfB;
      this.#steer(key, kept, percentOf(key, kept.listen.kind, sides, weights));
      for (const slot of SLOTS) {
        const [had, has] = [
          before === undefined || weightOf(slot, before) > 0,
          weightOf(slot, kept.percentOfB ?? 0) > 0,
        ];
        if (had && !has) emptied.add(slot);
        if (has && !had) filled.add(slot);
      }
    }
    return { emptied, filled };
  }

  /**
   * Copies of a slot's listeners that get no connections and where somebody waits all the same; the taker closes them.
   * Where the other slot's does not listen any more, all that is sent to the address comes here again: it is left out.
   */
  left(plugin: string, slot: SlotName): number[] {
    return this.#keysOf(plugin).flatMap((key) => {
      const standing = this.standing(key);
      const fd = this.#kept.get(key)?.fds[slot];
      const own = standing.find((each) => each.slot === slot);
      const isWaitedAt = own?.weight === 0 && (own.queued ?? 0) > 0;
      const isElsewhere = standing.some((each) => each.slot !== slot && each.queued !== null);
      return fd !== undefined && isWaitedAt && isElsewhere ? [duplicate(fd)] : [];
    });
  }

  /** Whoever waits for its connections looks again, in case that one was told to somebody who is dead. */
  wake(key: string): void {
    const fd = this.descriptor(key);
    if (fd !== undefined) wakeWaiters(fd);
  }

  /** Closes all sockets of the plugin and removes their files. */
  closeAll(plugin: string): void {
    this.#close(this.#keysOf(plugin));
    this.#sides.delete(plugin);
  }

  /** Closes what came back from the store and is not of these addresses; returns the names of what it closed. */
  closeInheritedBut(wanted: ReadonlySet<string>): string[] {
    const strays = [...this.#inherited.keys()].filter((key) => !wanted.has(parseSlotKey(key).key));
    for (const key of strays) this.#closeInherited(key);
    return strays;
  }

  /** A copy of a slot's listener to give away; the taker closes it. Throws BH302 for a key that is not kept. */
  copy(key: string): number {
    const fd = this.descriptor(key);
    if (fd === undefined) throw new Failure('BH302', `no listening socket '${key}'`);
    return duplicate(fd);
  }

  /** The descriptor of a slot's listener, to be looked at only; undefined for a key that is not kept. */
  descriptor(key: string): number | undefined {
    const address = parseSlotKey(key);
    return this.#kept.get(address.key)?.fds[address.slot];
  }

  /** How the listeners of an address stand; none for one that is not kept. */
  standing(key: string): SlotListener[] {
    const kept = this.#kept.get(key);
    if (kept === undefined) return [];
    const { fds, percentOfB = 0 } = kept;
    return SLOTS.flatMap((slot) => {
      const fd = fds[slot];
      const weight = weightOf(slot, percentOfB);
      return fd === undefined ? [] : [{ slot, weight, queued: isListening(fd) ? queueLength(fd) : null }];
    });
  }

  /**
   * A slot that begins to be used gets its listeners as they are made. Whoever had it before, or answered those who were
   * left there, may have set O_NONBLOCK, which all copies share.
   */
  #makeBlock(plugin: string, sides: BySlot<readonly PlannedListener[]>): void {
    const before = this.#sides.get(plugin);
    for (const slot of SLOTS) {
      if (before === undefined || before[slot] !== undefined) continue;
      for (const { key } of sides[slot] ?? []) {
        const fd = this.#kept.get(key)?.fds[slot];
        if (fd !== undefined) setBlocking(fd);
      }
    }
  }

  #keysOf(plugin: string): string[] {
    return [...this.#kept.keys()].filter((key) => isListenerKeyOf(plugin, key));
  }

  #close(keys: Iterable<string>): void {
    for (const key of keys) {
      const kept = this.#kept.get(key);
      if (kept === undefined) continue;
      this.#kept.delete(key);
      for (const slot of SLOTS) {
        const fd = kept.fds[slot];
        if (fd === undefined) continue;
        this.#store.remove(`${LISTENER_PREFIX}${slotKey(key, slot)}`);
        closeSync(fd);
      }
      pairOf(kept.listen).remove();
    }
  }

  /** The address's listeners as they came back from the store, and new ones for those that did not. */
  async #complete(plugin: string, key: string, listen: Listen): Promise<void> {
    const known = this.#kept.get(key);
    if (known?.fds.a !== undefined && known.fds.b !== undefined) return;
    if (known === undefined && listen.kind === 'tcp') this.#requireFree(plugin, key);
    const pair = known?.fds ?? this.#takePair(plugin, key, listen);
    const kept = known ?? { listen, fds: pair, percentOfB: pair.b === undefined ? 0 : undefined };
    this.#kept.set(key, kept);
    try {
      await pairOf(listen).complete(kept.fds, (slot, fd) => {
        kept.fds[slot] = fd;
        this.#store.store(`${LISTENER_PREFIX}${slotKey(key, slot)}`, fd);
      });
    } catch (error) {
      if (!(error instanceof SystemCallFailure)) throw error;
      const code = error.errnoName === 'EADDRINUSE' ? 'BH206' : 'BH207';
      throw new Failure(code, error.message, { cause: error });
    }
  }

  /** All sockets of ours may share an address: that one plugin alone has it is for us to see to. */
  #requireFree(plugin: string, key: string): void {
    const address = key.slice(plugin.length);
    const holder = [...this.#kept.keys(), ...this.#inherited.keys()]
      .map((other) => parseSlotKey(other).key)
      .find((other) => other !== key && other.endsWith(address));
    if (holder !== undefined) throw new Failure('BH206', `plugin '${holder.slice(0, -address.length)}' listens there`);
  }

  #steer(key: string, kept: Kept, percentOfB: number): void {
    try {
      pairOf(kept.listen).steer(kept.fds, percentOfB);
    } catch (error) {
      if (error instanceof Failure && error.code === 'BH220') throw error;
      throw new Failure('BH220', `'${key}': ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
    kept.percentOfB = percentOfB;
  }

  /** What is chosen by order of listening is taken back in that order only: b's alone would be the first one. */
  #takePair(plugin: string, key: string, listen: Listen): Partial<Record<SlotName, number>> {
    const take = (slot: SlotName): number | undefined =>
      this.#takeInherited(slotKey(key, slot)) ?? this.#takeHeld(plugin, slotKey(key, slot), listen);
    const a = take('a');
    if (a === undefined) this.#closeInherited(slotKey(key, 'b'));
    const b = take('b');
    return { ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }) };
  }

  #takeHeld(plugin: string, key: string, listen: Listen): number | undefined {
    const fd = this.#held(plugin, key, listen);
    if (fd !== undefined) this.#store.store(`${LISTENER_PREFIX}${key}`, fd);
    return fd;
  }

  #takeInherited(key: string): number | undefined {
    const fd = this.#inherited.get(key);
    if (fd === undefined) return undefined;
    if (!isListening(fd)) {
      this.#closeInherited(key);
      return undefined;
    }
    this.#inherited.delete(key);
    return fd;
  }

  #closeInherited(key: string): void {
    const fd = this.#inherited.get(key);
    if (fd === undefined) return;
    this.#inherited.delete(key);
    this.#store.remove(`${LISTENER_PREFIX}${key}`);
    closeSync(fd);
  }
}

const SLOTS: readonly SlotName[] = ['a', 'b'];

function weightOf(slot: SlotName, percentOfB: number): number {
  return slot === 'b' ? percentOfB : 100 - percentOfB;
}

function pairOf(listen: Listen): Pair {
  return listen.kind === 'tcp' ? tcpPair(listen) : unixPair(listen);
}
