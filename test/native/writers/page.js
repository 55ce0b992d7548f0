// Writes the page that activity-writers.test.ts expects, then changes one slot until it is killed.
const fs = require('node:fs');
const { Activity, Slot, KIND } = require('./activity.js');

const activity = new Activity(process.env.BULKHEAD_ACTIVITY, 2);
const [slot, other] = [new Slot(activity, 0), new Slot(activity, 1)];
activity.tick();
slot.end(
  slot.begin(
    '/ended',
    Buffer.from(Array.from({ length: 16 }, (_, byte) => byte)),
  ),
);
slot.end(slot.begin('/failed'), false);
for (let number = 0; number < 300; number++) activity.record(KIND.note, `note ${number}`);
activity.record(KIND.audit, 'ä'.repeat(200));
slot.begin(`/oldest/${'x'.repeat(100)}`, Buffer.alloc(16, 0xab), process.hrtime.bigint() + 5_000_000_000n);
slot.begin('/younger');
slot.progressed();
fs.writeSync(1, 'written\n');
fs.readSync(0, Buffer.alloc(16));
for (;;)
  for (const digit of '0123456789') other.end(other.begin(`/${digit.repeat(50)}`, Buffer.alloc(16, digit)));
