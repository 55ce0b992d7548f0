import { printable } from '../base/printable.ts';

/**
 * The activity page: what a payload says of the requests in its hands, in a file of a fixed form
 * (docs/activity-page.md). All of it is untrusted: bounded here, and never an index or a size of anything.
 */
export const ACTIVITY_PAGE_BYTES = 65_536;

/** Header and slots: all that is read at a heartbeat. */
export const ACTIVITY_HEAD_BYTES = 4096;

/** `BKACT001` */
const MAGIC = [0x42, 0x4b, 0x41, 0x43, 0x54, 0x30, 0x30, 0x31];
const MOST_SLOTS = 31;
/** Where the slots begin, behind the header. */
export const FIRST_SLOT = 64;
const SLOT_BYTES = 128;
const FIRST_RECORD = ACTIVITY_HEAD_BYTES;
const RECORD_BYTES = 256;
const MOST_RECORDS = 240;
const MOST_TEXT = 208;
const METHOD_BYTES = 56;
/** Highest thread id there can be (pid_max of proc_sys_kernel(5)). */
const MOST_TID = 4_194_304;
/** Somebody else's clock may be read a little before ours, though it is the same (ms). */
const SLACK_MS = 50;

/** What one serving thread or loop says of itself. Times are milliseconds of CLOCK_MONOTONIC. */
export interface ActivitySlot {
  readonly index: number;
  /** Changes with every update. Odd: it was being written when it was read, or its writer ended in the middle of it. */
  readonly sequence: number;
  readonly inFlight: number;
  /** When the oldest request in flight began. */
  readonly startedAt: number | undefined;
  readonly deadline: number | undefined;
  /** Whatever grows while it gets on with a request. */
  readonly progress: bigint;
  readonly traceId: string | undefined;
  /** As the payload sees it; undefined when it does not say. */
  readonly tid: number | undefined;
  readonly done: number;
  readonly failed: number;
  readonly method: string | undefined;
}

export interface ActivityPage {
  /** When the main loop came by last; undefined when it does not say. */
  readonly tick: number | undefined;
  readonly loopTid: number | undefined;
  readonly slots: readonly ActivitySlot[];
}

/** What the flight recorder keeps of a request, or of a line of the payload's own. */
export interface FlightRecord {
  /** Counts up from 0. */
  readonly number: number;
  readonly kind: 'began' | 'ended-well' | 'ended-badly' | 'audit' | 'note';
  readonly startedAt: number | undefined;
  /** Undefined for what has no end yet, or never has one. */
  readonly durationMs: number | undefined;
  readonly traceId: string | undefined;
  readonly tid: number | undefined;
  readonly text: string;
}

const KINDS = [undefined, 'began', 'ended-well', 'ended-badly', 'audit', 'note'] as const;

/**
 * The page, from its first `ACTIVITY_HEAD_BYTES`. Undefined when nobody has written one, or too little of it is there.
 * @param now milliseconds of CLOCK_MONOTONIC; what claims to be later is left out
 */
export function parseActivityPage(bytes: Uint8Array, now: number): ActivityPage | undefined {
  if (bytes.length < ACTIVITY_HEAD_BYTES || MAGIC.some((byte, at) => bytes[at] !== byte)) return undefined;
  const view = viewOf(bytes);
  const slots: ActivitySlot[] = [];
  const used = Math.min(view.getUint32(8, true), MOST_SLOTS);
  for (let index = 0; index < used; index++) slots.push(slotAt(view, bytes, index, now));
  return { tick: timeAt(view, 16, now), loopTid: tidAt(view, 24), slots };
}

/**
 * The page again, of which only the header has changed: most of them do nothing but say that they come round.
 * @param bytes as of `parseActivityPage`
 */
export function parseHeaderAgain(bytes: Uint8Array, { slots }: ActivityPage, now: number): ActivityPage | undefined {
  const view = viewOf(bytes);
  if (MAGIC.some((byte, at) => bytes[at] !== byte) || Math.min(view.getUint32(8, true), MOST_SLOTS) !== slots.length)
    return parseActivityPage(bytes, now);
  return { tick: timeAt(view, 16, now), loopTid: tidAt(view, 24), slots };
}

/** The records of the whole page that are there, oldest first; at most 240. */
export function parseFlightRecords(bytes: Uint8Array, now: number): readonly FlightRecord[] {
  if (parseActivityPage(bytes, now) === undefined) return [];
  const view = viewOf(bytes);
  const records: FlightRecord[] = [];
  for (let place = 0; place < MOST_RECORDS; place++) {
    const at = FIRST_RECORD + place * RECORD_BYTES;
    if (at + RECORD_BYTES > bytes.length) break;
    const record = recordAt(view, bytes, at, place, now);
    if (record !== undefined) records.push(record);
  }
  return records.sort((one, other) => one.number - other.number);
}

/** How long requests took, as far as the flight recorder still knows. */
export interface RecordedTimes {
  /** In ms, of those that ended well; at most 240. */
  readonly durations: readonly number[];
  /** The number of the last record of any kind. */
  readonly newest: number;
}

/**
 * What the records of the whole page that are newer than this number say of times, without reading their texts: it is
 * asked for again and again. What would have ended in the future, or did not begin, is left out.
 */
export function parseRecordedTimes(bytes: Uint8Array, after: number, now: number): RecordedTimes {
  const view = viewOf(bytes);
  const durations: number[] = [];
  let newest = after;
  for (let place = 0; place < MOST_RECORDS; place++) {
    const at = FIRST_RECORD + place * RECORD_BYTES;
    if (at + RECORD_BYTES > bytes.length) break;
    const number = numberAt(view, at) - 1;
    if (number <= after || !Number.isSafeInteger(number) || number % MOST_RECORDS !== place) continue;
    newest = Math.max(newest, number);
    const [startedAt, took] = [timeAt(view, at + 8, now), millisecondsAt(view, at + 16)];
    if (KINDS[view.getUint16(at + 44, true)] !== 'ended-well' || startedAt === undefined || took === undefined)
      continue;
    if (startedAt + took <= now + SLACK_MS) durations.push(took);
  }
  return { durations, newest };
}

/** Slots that have a request in hand, those with the oldest first. */
export function inFlight(page: ActivityPage | undefined): readonly ActivitySlot[] {
  const busy = (page?.slots ?? []).filter((slot) => slot.inFlight > 0);
  return busy.sort((one, other) => (one.startedAt ?? Infinity) - (other.startedAt ?? Infinity));
}

function slotAt(view: DataView, bytes: Uint8Array, index: number, now: number): ActivitySlot {
  const at = FIRST_SLOT + index * SLOT_BYTES;
  const busy = view.getUint32(at + 4, true);
  return {
    index,
    sequence: view.getUint32(at, true),
    inFlight: busy,
    startedAt: timeAt(view, at + 8, now),
    deadline: millisecondsAt(view, at + 16),
    progress: view.getBigUint64(at + 24, true),
    // Of a slot without a request they are of one that was; and most slots are idle most of the time.
    traceId: busy === 0 ? undefined : traceAt(bytes, at + 32),
    tid: tidAt(view, at + 48),
    done: numberAt(view, at + 56),
    failed: numberAt(view, at + 64),
    method: busy === 0 ? undefined : methodAt(bytes, at + 72),
  };
}

function methodAt(bytes: Uint8Array, at: number): string | undefined {
  const method = bytes.subarray(at, at + METHOD_BYTES);
  const end = method.indexOf(0);
  return text(end < 0 ? method : method.subarray(0, end)) || undefined;
}

function recordAt(view: DataView, bytes: Uint8Array, at: number, place: number, now: number): FlightRecord | undefined {
  const number = numberAt(view, at) - 1;
  const kind = KINDS[view.getUint16(at + 44, true)];
  const length = view.getUint16(at + 46, true);
  if (!Number.isSafeInteger(number) || number % MOST_RECORDS !== place) return undefined;
  if (kind === undefined || length > MOST_TEXT) return undefined;
  const words = text(bytes.subarray(at + 48, at + 48 + length));
  if (words === undefined) return undefined;
  return {
    number,
    kind,
    startedAt: timeAt(view, at + 8, now),
    durationMs: millisecondsAt(view, at + 16),
    traceId: traceAt(bytes, at + 24),
    tid: tidAt(view, at + 40),
    text: words,
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A count. Above 2^53 it is not exact, which matters to nobody. */
function numberAt(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}

/** Nanoseconds in milliseconds; undefined for none. */
function millisecondsAt(view: DataView, at: number): number | undefined {
  const ns = numberAt(view, at);
  return ns === 0 ? undefined : ns / 1e6;
}

/** A time that has been; undefined for none, and for one that is still to come. */
function timeAt(view: DataView, at: number, now: number): number | undefined {
  const time = millisecondsAt(view, at);
  return time === undefined || time > now + SLACK_MS ? undefined : time;
}

function tidAt(view: DataView, at: number): number | undefined {
  const tid = view.getUint32(at, true);
  return tid === 0 || tid > MOST_TID ? undefined : tid;
}

/** 32 hexadecimal digits; undefined for none. */
function traceAt(bytes: Uint8Array, at: number): string | undefined {
  let id = '';
  for (const byte of bytes.subarray(at, at + 16)) id += byte.toString(16).padStart(2, '0');
  return /^0*$/.test(id) ? undefined : id;
}

/** Undefined for what is not UTF-8. The last character may have been cut off with the room for it. */
function text(bytes: Uint8Array): string | undefined {
  try {
    return printable(new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true }));
  } catch {
    return undefined;
  }
}
