import { cutText } from '../wire/error-value.ts';
import { PageMemory } from './page-memory.ts';

/** The page of docs/activity-page.md, written by the one loop of this process. */

const RECORD_KIND = { began: 1, well: 2, badly: 3, audit: 4, note: 5 } as const;
export type RecordKind = keyof typeof RECORD_KIND;

const SLOT_AT = 64;
const SLOT_BYTES = 128;
const METHOD_AT = 72;
const METHOD_BYTES = 56;
const [RECORDS_AT, RECORD_BYTES, MOST_RECORDS] = [4096, 256, 240];
const [TEXT_AT, TEXT_BYTES] = [48, 208];
const TICK_MS = 1000;

/** A request in hand, as the page tells of it. */
export interface Told {
  readonly method: string;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly started: bigint;
  /** The same; 0 for none. */
  readonly deadline: bigint;
  /** 16 bytes; undefined for none. */
  readonly trace: Buffer | undefined;
}

export class Activity {
  readonly #page: PageMemory | undefined;
  /** In the order in which they began. */
  readonly #inHand = new Set<Told>();
  #told: Told | undefined;
  #toldCount = 0;
  #sequence = 0;
  #records = 0;
  #progress = 0n;
  #well = 0n;
  #badly = 0n;
  #later = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param path the page, as in $BULKHEAD_ACTIVITY; undefined for none: all of this does nothing then. */
  constructor(path: string | undefined) {
    this.#page = PageMemory.open(path);
    const page = this.#page;
    if (page === undefined) return;
    page.bytes.writeUInt32LE(1, 8);
    // The main thread's id is the process's.
    page.bytes.writeUInt32LE(process.pid, 24);
    page.bytes.writeUInt32LE(process.pid, SLOT_AT + 48);
    page.show(8, 32);
    page.show(SLOT_AT, SLOT_BYTES);
    page.bytes.write('BKACT001', 0, 'latin1');
    page.show(0, 8);
  }

  /** Writes the tick each second from now on, as long as the loop turns; it keeps no process alive. */
  start(): void {
    if (this.#page === undefined || this.#timer !== undefined) return;
    this.#tick();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** A request begins. The same object ends it. */
  begin(request: Told): void {
    if (this.#page === undefined) return;
    this.#inHand.add(request);
    this.#tell();
    this.#record('began', request.method, request.started, 0n, request.trace);
  }

  end(request: Told, well: boolean): void {
    if (this.#page === undefined || !this.#inHand.delete(request)) return;
    this.#progress += 1n;
    if (well) this.#well += 1n;
    else this.#badly += 1n;
    this.#tell();
    const took = process.hrtime.bigint() - request.started;
    this.#record(well ? 'well' : 'badly', request.method, request.started, took, request.trace);
  }

  /** A request that takes long gets on. */
  progressed(): void {
    if (this.#page === undefined) return;
    this.#progress += 1n;
    this.#page.longs[(SLOT_AT + 24) / 8] = this.#progress;
    this.#page.show(SLOT_AT + 24, 8);
  }

  /** A line that is read back after the end, by whatever that came. At most 208 bytes of it are kept. */
  line(kind: 'audit' | 'note', text: string, trace: Buffer | undefined): void {
    this.#record(kind, text, process.hrtime.bigint(), 0n, trace);
  }

  #tick(): void {
    const page = this.#page;
    if (page === undefined) return;
    page.longs[2] = process.hrtime.bigint();
    page.longs[4] = BigInt(this.#records);
    page.show(16, 24);
  }

  /** Where each byte is a system call, the slot is written at once only when it tells of another request. */
  #tell(): void {
    const page = this.#page;
    if (page === undefined) return;
    const [oldest] = this.#inHand;
    if (page.isMapped || oldest !== this.#told || (this.#toldCount === 0) !== (this.#inHand.size === 0))
      this.#writeSlot(page, oldest);
    else if (!this.#later) {
      this.#later = true;
      process.nextTick(() => {
        this.#later = false;
        const [now] = this.#inHand;
        this.#writeSlot(page, now);
      });
    }
  }

  #writeSlot(page: PageMemory, oldest: Told | undefined): void {
    const { bytes, words, longs } = page;
    this.#sequence = (this.#sequence + 2) >>> 0;
    Atomics.store(words, SLOT_AT / 4, (this.#sequence - 1) | 0);
    page.show(SLOT_AT, 4);
    bytes.writeUInt32LE(this.#inHand.size, SLOT_AT + 4);
    longs[(SLOT_AT + 24) / 8] = this.#progress;
    longs[(SLOT_AT + 56) / 8] = this.#well;
    longs[(SLOT_AT + 64) / 8] = this.#badly;
    // An idle slot keeps what it said: readers take it for idle by its count.
    if (oldest !== undefined && oldest !== this.#told) {
      longs[(SLOT_AT + 8) / 8] = oldest.started;
      longs[(SLOT_AT + 16) / 8] = oldest.deadline;
      copyTrace(oldest.trace, bytes, SLOT_AT + 32);
      bytes.fill(0, SLOT_AT + METHOD_AT, SLOT_AT + SLOT_BYTES);
      bytes.write(oldest.method, SLOT_AT + METHOD_AT, METHOD_BYTES);
    }
    this.#told = oldest;
    this.#toldCount = this.#inHand.size;
    page.show(SLOT_AT + 4, SLOT_BYTES - 4);
    Atomics.store(words, SLOT_AT / 4, this.#sequence | 0);
    page.show(SLOT_AT, 4);
  }

  #record(kind: RecordKind, text: string, started: bigint, took: bigint, trace: Buffer | undefined): void {
    const page = this.#page;
    if (page === undefined) return;
    const at = RECORDS_AT + RECORD_BYTES * (this.#records % MOST_RECORDS);
    const { bytes, longs } = page;
    longs[at / 8] = 0n;
    if (!page.isMapped) page.show(at, 8);
    longs[(at + 8) / 8] = started;
    longs[(at + 16) / 8] = took;
    copyTrace(trace, bytes, at + 24);
    bytes.writeUInt32LE(process.pid, at + 40);
    bytes.writeUInt16LE(RECORD_KIND[kind], at + 44);
    const kept = kind === 'audit' || kind === 'note' ? cutText(text, TEXT_BYTES) : text;
    bytes.writeUInt16LE(bytes.write(kept, at + TEXT_AT, TEXT_BYTES), at + 46);
    page.show(at + 8, RECORD_BYTES - 8);
    this.#records += 1;
    // Its number comes last: then all of it is there.
    longs[at / 8] = BigInt(this.#records);
    page.show(at, 8);
  }
}

function copyTrace(trace: Buffer | undefined, bytes: Buffer, at: number): void {
  if (trace === undefined) bytes.fill(0, at, at + 16);
  else trace.copy(bytes, at, 0, 16);
}

/** The trace id of a traceparent that is well formed. */
export function traceIdOf(traceparent: string | undefined): Buffer | undefined {
  return traceparent === undefined ? undefined : Buffer.from(traceparent.slice(3, 35), 'hex');
}
