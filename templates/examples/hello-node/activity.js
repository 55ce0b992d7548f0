// What a plugin is doing, told to bulkhead by its activity page. To be copied into yours; nothing but Node.js.
//
// The page is a file that each sandbox has (docs/activity-page.md). Outside of one, all of this does nothing.
'use strict';

const fs = require('node:fs');

const KIND = { began: 1, endedWell: 2, endedBadly: 3, audit: 4, note: 5 };
const NO_TRACE = Buffer.alloc(16);
const [SLOT_AT, SLOT_SIZE] = [64, 128];
const [RECORDS_AT, RECORD_SIZE, MOST_RECORDS] = [4096, 256, 240];

/** An event loop has one slot: 0 for the main thread, others for workers that open the page themselves. */
class Activity {
  constructor(path = process.env.BULKHEAD_ACTIVITY, slots = 1) {
    try {
      this.fd = path === undefined ? undefined : fs.openSync(path, fs.constants.O_RDWR);
    } catch {
      this.fd = undefined;
    }
    this.head = Buffer.alloc(40);
    this.recorded = 0n;
    this.head.writeUInt32LE(slots, 8);
    this.head.writeUInt32LE(process.pid, 24); // the main thread's id is the process's
    this.write(this.head, 8, 8);
    this.head.write('BKACT001', 0, 'latin1');
    this.write(this.head, 0, 0, 8);
  }

  /** The main loop is alive; to be called about once a second. */
  tick() {
    this.head.writeBigUInt64LE(process.hrtime.bigint(), 16);
    this.write(this.head, 16, 16, 8);
    this.write(this.head, 32, 32, 8);
  }

  /** Notes what is still to be read after the end, by whatever it comes. Times in ns of process.hrtime.bigint(). */
  record(kind, text, started = 0n, duration = 0n, trace = NO_TRACE) {
    const record = Buffer.alloc(RECORD_SIZE);
    const at = RECORDS_AT + RECORD_SIZE * Number(this.recorded % BigInt(MOST_RECORDS));
    record.writeBigUInt64LE(started, 8);
    record.writeBigUInt64LE(duration, 16);
    trace.copy(record, 24, 0, 16);
    record.writeUInt32LE(process.pid, 40);
    record.writeUInt16LE(kind, 44);
    record.writeUInt16LE(record.write(text, 48, 208), 46);
    this.write(record, 0, at);
    this.recorded += 1n;
    this.head.writeBigUInt64LE(this.recorded, 32);
    this.write(this.head, 32, at, 8); // its number, when all of it is there
  }

  /** Node.js cannot map files. */
  write(buffer, from, at, length = buffer.length - from) {
    if (this.fd !== undefined) fs.writeSync(this.fd, buffer, from, length, at);
  }
}

/** One loop that serves requests; it tells of the oldest in its hands. */
class Slot {
  constructor(activity, index = 0, tid = process.pid) {
    this.activity = activity;
    this.at = SLOT_AT + SLOT_SIZE * index;
    this.requests = new Set();
    this.slot = Buffer.alloc(SLOT_SIZE);
    this.slot.writeUInt32LE(tid, 48);
    this.sequence = 0;
    this.progress = this.done = this.failed = 0n;
  }

  /** A request has come. Returns what end() wants. */
  begin(method, trace = NO_TRACE, deadline = 0n) {
    const request = { method, trace, deadline, started: process.hrtime.bigint() };
    this.requests.add(request);
    this.tell();
    this.activity.record(KIND.began, method, request.started, 0n, trace);
    return request;
  }

  end(request, well = true) {
    if (!this.requests.delete(request)) return;
    if (well) this.done += 1n;
    else this.failed += 1n;
    this.progressed();
    const { method, started, trace } = request;
    const kind = well ? KIND.endedWell : KIND.endedBadly;
    this.activity.record(kind, method, started, process.hrtime.bigint() - started, trace);
  }

  /** The request takes long, and gets on. */
  progressed() {
    this.progress += 1n;
    this.tell();
  }

  tell() {
    const { slot, activity, at } = this;
    const [oldest = { method: '', trace: NO_TRACE, started: 0n, deadline: 0n }] = this.requests;
    this.sequence = (this.sequence + 2) >>> 0;
    slot.writeUInt32LE((this.sequence - 1) >>> 0, 0);
    slot.writeUInt32LE(this.requests.size, 4);
    slot.writeBigUInt64LE(oldest.started, 8);
    slot.writeBigUInt64LE(oldest.deadline, 16);
    slot.writeBigUInt64LE(this.progress, 24);
    oldest.trace.copy(slot, 32, 0, 16);
    slot.writeBigUInt64LE(this.done, 56);
    slot.writeBigUInt64LE(this.failed, 64);
    slot.fill(0, 72);
    slot.write(oldest.method, 72, 56);
    activity.write(slot, 0, at, 4); // odd: being written
    activity.write(slot, 4, at + 4);
    slot.writeUInt32LE(this.sequence, 0);
    activity.write(slot, 0, at, 4);
  }
}

module.exports = { Activity, Slot, KIND };
