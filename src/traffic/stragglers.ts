import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { SystemdUnits } from '../act/systemd-units.ts';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, type Failure } from '../base/failure.ts';
import { pipe } from '../kernel/native.ts';
import type { SlotName } from '../plan/plan.ts';
import { stragglersUnit } from '../unit/stragglers-unit.ts';

/**
 * A handshake that had begun before connections went to another slot still ends in the queue of this one, where nobody
 * accepts any more. It may take so long: six retransmissions of SYN+ACK (tcp_synack_retries of tcp(7)), and some more.
 */
const WATCHED_MS = 130_000;
/** Nearly all come with the first round trip. */
const OFTEN_MS = 5_000;
const OFTEN_EVERY_MS = 100;
const EVERY_MS = 1_000;
/** How long the start of a unit is waited for. */
const START_MS = 30_000;
/** Plugins that have somebody to look after their stragglers at the same time; the others wait. */
const MOST_HELPERS = 16;
/** Units of one plugin that may not have let go of its sockets yet: far more than can follow each other within a moment. */
const MOST_STARTED = 16;

export interface StragglersParts {
  readonly clock: Clock;
  /** Where our programs are. */
  readonly lib: string;
  /** Copies of the slot's listeners at which somebody waits; the taker closes them. */
  readonly left: (plugin: string, slot: SlotName) => readonly number[];
  /** Whether there is anybody in the slot who may accept. */
  readonly isServed: (plugin: string, slot: SlotName) => boolean;
  readonly units: Pick<SystemdUnits, 'startTransient' | 'stopAndWait'>;
  readonly ignored: (text: string, failure: Failure) => void;
}

interface Watch {
  readonly plugin: string;
  readonly slot: SlotName;
  readonly began: number;
  until: number;
  timer: Owned;
  helper: Helper | undefined;
}

/** A unit that accepts what is left, as long as we read its counts. */
interface Helper {
  readonly unit: string;
  readonly counts: Socket;
  /** What its launcher gets, until it has it. */
  given: number[];
}

/** Sees to it that nobody waits for ever at the listeners of a slot that connections do not go to any more. */
export class Stragglers implements Owned {
  readonly #parts: StragglersParts;
  readonly #watches = new Map<string, Watch>();
  readonly #found = new Map<string, number>();
  /** The newest that were started for a plugin, one of which may hold its sockets for a moment longer. */
  readonly #started = new Map<string, readonly string[]>();
  #units = 0;

  constructor(parts: StragglersParts) {
    this.#parts = parts;
  }

  /** How many of a plugin were answered this way, as far as this supervisor knows. */
  found(plugin: string): number {
    return this.#found.get(plugin) ?? 0;
  }

  /** The slot gets no connections from now on. */
  follow(plugin: string, slot: SlotName): void {
    this.leave(plugin, slot);
    const began = this.#parts.clock.now();
    const watch = { plugin, slot, began, until: began + WATCHED_MS, helper: undefined, timer: this.#in(0, () => {}) };
    this.#watches.set(keyOf(plugin, slot), watch);
    this.#next(watch);
  }

  /** The slot gets connections again: who looked after those it left takes none any more, but goes on with what he has. */
  leave(plugin: string, slot: SlotName): void {
    const watch = this.#watches.get(keyOf(plugin, slot));
    this.#watches.delete(keyOf(plugin, slot));
    watch?.timer.release();
    if (watch !== undefined) this.#end(watch);
  }

  /** The plugin's sockets are about to be closed: nobody holds them any more when this returns. */
  async end(plugin: string): Promise<void> {
    for (const slot of ['a', 'b'] as const) this.leave(plugin, slot);
    const started = this.#started.get(plugin) ?? [];
    this.#started.delete(plugin);
    this.#found.delete(plugin);
    for (const unit of started) await this.#parts.units.stopAndWait(unit);
  }

  /** What the launcher of such a unit gets; undefined for a unit of other people. */
  descriptorsFor(unit: string): { readonly fds: readonly number[] } | undefined {
    const helper = [...this.#watches.values()].map((watch) => watch.helper).find((each) => each?.unit === unit);
    return helper === undefined ? undefined : { fds: helper.given.splice(0) };
  }

  release(): void {
    for (const { plugin, slot } of [...this.#watches.values()]) this.leave(plugin, slot);
  }

  #next(watch: Watch): void {
    const now = this.#parts.clock.now();
    watch.timer = this.#in(now < watch.began + OFTEN_MS ? OFTEN_EVERY_MS : EVERY_MS, () => this.#look(watch));
  }

  #look(watch: Watch): void {
    const { clock, isServed, left } = this.#parts;
    const { plugin, slot } = watch;
    const now = clock.now();
    if (isServed(plugin, slot)) watch.until = Math.max(watch.until, now + OFTEN_MS);
    else if (watch.helper === undefined && this.#helpers() < MOST_HELPERS) {
      const fds = left(plugin, slot);
      if (fds.length > 0) this.#help(watch, fds);
    }
    if (now < watch.until) this.#next(watch);
    else this.leave(plugin, slot);
  }

  #help(watch: Watch, listeners: readonly number[]): void {
    const { plugin, slot } = watch;
    const { lib, units, ignored } = this.#parts;
    const { read, write } = pipe();
    this.#units += 1;
    const unit = `bulkhead-stragglers-${process.pid}-${this.#units}.service`;
    const counts = new Socket({ fd: read, readable: true, writable: false });
    const helper: Helper = { unit, counts, given: [write, ...listeners] };
    watch.helper = helper;
    this.#started.set(plugin, [...(this.#started.get(plugin) ?? []), unit].slice(-MOST_STARTED));
    let known = 0;
    counts.on('data', (chunk: Buffer) => {
      // One number in a line; what is not whole comes again with the next one.
      const said = Number(/(?:^|\n)(\d{1,9})\n$/.exec(chunk.toString('latin1'))?.[1] ?? 0);
      this.#found.set(plugin, this.found(plugin) + Math.max(0, said - known));
      known = Math.max(known, said);
    });
    counts.on('error', () => counts.destroy());
    counts.on('close', () => {
      if (watch.helper === helper) this.#end(watch);
    });
    const made = stragglersUnit(unit, `slot ${slot} of plugin ${plugin}`, lib);
    units.startTransient(made, START_MS).catch((error: unknown) => {
      ignored(
        `connections that slot ${slot} of '${plugin}' left behind cannot be answered, ignoring`,
        asFailure(error),
      );
      if (watch.helper === helper) this.#end(watch);
    });
  }

  #end(watch: Watch): void {
    const { helper } = watch;
    watch.helper = undefined;
    helper?.counts.destroy();
    for (const fd of helper?.given.splice(0) ?? []) closeSync(fd);
  }

  #helpers(): number {
    return [...this.#watches.values()].filter(({ helper }) => helper !== undefined).length;
  }

  #in(ms: number, run: () => void): Owned {
    return this.#parts.clock.after(ms, run);
  }
}

function keyOf(plugin: string, slot: SlotName): string {
  return `${plugin}/${slot}`;
}
