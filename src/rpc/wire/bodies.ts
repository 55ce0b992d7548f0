import { addonIfThere } from './addon.ts';
import { MOST_BODIES, MOST_BODY_BYTES } from './limits.ts';
import type { Outgoing } from './message.ts';
import { BadFrame } from './wire-error.ts';

/**
 * Large binaries as files in memory beside their message (docs/protocol.md, Bodies and descriptors): those that a frame has
 * no room for, and those that are faster so. From how many bytes on that is was measured: docs/decisions/0030-bodies-as-files.md.
 */
const FASTER_BYTES = 16 * 1024 * 1024;
/** None is smaller than this, and so much of a frame is left to what is no large binary. */
const LEAST_BYTES = 64 * 1024;
/** Looked for at this depth: a parameter or a result, what is in one, and what is in that. */
const LEVELS = 2;

/** Stands in a message for one that goes beside it. */
export class BodyReference {
  readonly index: number;
  readonly length: number;

  constructor(index: number, length: number) {
    this.index = index;
    this.length = length;
  }
}

export interface Divided {
  readonly message: Outgoing;
  readonly bodies: readonly Uint8Array[];
}

/** Whether it is worth while to look for bodies before the message is encoded as it is. */
export function isSurelyLarge(message: Outgoing): boolean {
  if (message[0] === 0) return message[3].some((each) => each instanceof Uint8Array && each.length >= FASTER_BYTES);
  return message[0] === 1 && message[3] instanceof Uint8Array && message[3].length >= FASTER_BYTES;
}

/**
 * A message without its large binaries. Undefined when there are none, or it is one that has none.
 * @param limit bytes that the receiver takes in a message.
 */
export function divide(message: Outgoing, limit: number): Divided | undefined {
  const division = new Division(limit);
  if (message[0] === 0) {
    const [type, id, method, params, ...meta] = message;
    const rest = params.map((each) => division.replaceIn(each, LEVELS));
    return division.of([type, id, method, rest, ...meta] as unknown as Outgoing);
  }
  if (message[0] !== 1 || message[2] !== null) return undefined;
  return division.of([1, message[1], null, division.replaceIn(message[3], LEVELS)]);
}

class Division {
  readonly #bodies: Uint8Array[] = [];
  /** What the frame has room for, still. */
  #room: number;

  constructor(limit: number) {
    this.#room = limit - LEAST_BYTES;
  }

  of(message: Outgoing): Divided | undefined {
    return this.#bodies.length === 0 ? undefined : { message, bodies: this.#bodies };
  }

  /** A copy with references in it. */
  replaceIn(value: unknown, levels: number): unknown {
    if (value instanceof Uint8Array) return this.#replace(value);
    if (levels === 0 || typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) return value.map((each) => this.replaceIn(each, levels - 1));
    if (!isPlainObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.replaceIn(each, levels - 1)]));
  }

  #replace(value: Uint8Array): unknown {
    const { length } = value;
    const goes = length >= LEAST_BYTES && (length >= FASTER_BYTES || length > this.#room);
    if (!goes || length > MOST_BODY_BYTES || this.#bodies.length === MOST_BODIES) {
      this.#room -= length;
      return value;
    }
    this.#bodies.push(value);
    return new BodyReference(this.#bodies.length - 1, length);
  }
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** @returns descriptors of the files, or undefined when they cannot be made: then all goes as bytes. */
export function makeBodies(bodies: readonly Uint8Array[]): number[] | undefined {
  const addon = addonIfThere();
  if (addon === undefined) return undefined;
  const fds: number[] = [];
  for (const body of bodies) {
    const fd = addon.makeBody(body);
    if (fd < 0) {
      closeDescriptors(fds);
      return undefined;
    }
    fds.push(fd);
  }
  return fds;
}

/**
 * What the descriptors of a message hold; all are closed.
 * @throws BadFrame when one of them is no sealed file of that length.
 */
export function openBodies(fds: readonly number[], lengths: readonly number[]): Uint8Array[] {
  const addon = addonIfThere();
  if (addon === undefined) throw new BadFrame('a body that nobody can read');
  try {
    return fds.map((fd, index) => {
      const length = lengths[index] as number;
      if (length === 0) return Buffer.alloc(0);
      const memory = addon.mapBody(fd, length);
      if (typeof memory === 'number') throw new BadFrame('a body that is no sealed file of its length');
      return Buffer.from(memory);
    });
  } finally {
    closeDescriptors(fds);
  }
}

export function closeDescriptors(fds: readonly number[]): void {
  for (const fd of fds) addonIfThere()?.closeDescriptor(fd);
}
