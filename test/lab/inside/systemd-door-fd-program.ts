/**
 * The main program of a test unit: keeps a pipe in systemd's store, reports what it got from there, and goes away
 * when asked to, to be started again.
 */
import { writeSync } from 'node:fs';
import { systemClock } from '../../../src/kernel/clock.ts';
import { pipe, sendDatagram, setCloexec } from '../../../src/kernel/native.ts';
import { FdStore, inheritedFds } from '../../../src/systemd/fd-store.ts';
import { Journal } from '../../../src/systemd/journal.ts';
import { Notifier } from '../../../src/systemd/notify.ts';

const fds = inheritedFds(process.env, process.pid, setCloexec);
const notifier = new Notifier({ socket: process.env.NOTIFY_SOCKET, clock: systemClock, sendDatagram, makePipe: pipe });
const store = new FdStore(notifier);
const journal = new Journal({
  sendDatagram,
  identifier: 'door-test',
  writeLine: (line) => process.stderr.write(`${line}\n`),
});

journal.write(
  'warning',
  'first line\nsecond line',
  { BULKHEAD_PLUGIN: 'hello', BULKHEAD_BYTES: Uint8Array.from([1, 10, 0, 255]), 'not a field': 'x' },
  '0123456789abcdef0123456789abcdef',
);

const names = [...fds].map(([name, list]) => `${name}=${list.length}`).sort();
if (fds.size === 0) {
  const [one, two] = [pipe(), pipe()];
  store.store('listener one', [one.read, two.read]);
  store.store('report', [one.write]);
  store.store('gone', [two.write]);
  store.remove('gone');
} else {
  // The pipe that was stored still works: its read end is the first of 'listener one'.
  writeSync(fds.get('report')?.[0] ?? -1, 'x');
}
const begin = systemClock.now();
await notifier.barrier(5000);
notifier.status(`barrier ${systemClock.now() - begin < 5000 ? 'passed' : 'late'}`);
notifier.ready(`got ${names.join(' ') || 'nothing'} env ${process.env.LISTEN_FDS ?? 'clean'}`);
setInterval(() => undefined, 1000);
