/**
 * A user who means harm to the control API with connections instead of calls; runs as nobody. Arguments: how many
 * connections to make, and how many at once. Each says Hello, asks for all there is to see, and leaves without having
 * read an answer; every twentieth stays until all others are through, deaf. Prints how many were let in by the bus.
 */
import { createConnection, type Socket } from 'node:net';
import messages from 'dbus-next/lib/message.js';
import { MANAGER_INTERFACE, MANAGER_NAME, MANAGER_PATH } from '../../../src/control/wire-names.ts';

const [, , total = '0', atOnce = '1'] = process.argv;
const DBUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };
const MANAGER = { destination: MANAGER_NAME, path: MANAGER_PATH, interface: MANAGER_INTERFACE };
const CALLS_OF_THE_DEAF = 50;

function call(serial: number, fields: object, signature = '', body: unknown[] = []): Buffer {
  return messages.marshall({
    type: 1,
    flags: 0,
    serial,
    ...fields,
    ...(signature === '' ? {} : { signature, body }),
  })[0];
}

const uid = Buffer.from(String(process.getuid?.())).toString('hex');
const stayed: Socket[] = [];
let letIn = 0;

function visit(index: number): Promise<void> {
  const stays = index % 20 === 0;
  return new Promise((resolve) => {
    const socket = createConnection('/run/dbus/system_bus_socket');
    socket.on('error', () => resolve());
    socket.on('close', () => resolve());
    socket.write(`\0AUTH EXTERNAL ${uid}\r\n`);
    socket.once('data', (greeting) => {
      if (!greeting.toString('latin1').startsWith('OK ')) {
        socket.destroy();
        return;
      }
      letIn += 1;
      socket.pause();
      socket.write('BEGIN\r\n');
      socket.write(call(1, { ...DBUS, member: 'Hello' }));
      for (let serial = 2; serial < (stays ? CALLS_OF_THE_DEAF : 4); serial++)
        socket.write(call(serial, { ...MANAGER, member: 'GetEvents' }, 'tu', [0n, 1000]));
      if (stays) {
        stayed.push(socket);
        resolve();
      } else socket.end(() => socket.destroy());
    });
  });
}

let next = 0;
async function lane(): Promise<void> {
  while (next < Number(total)) await visit(next++);
}
await Promise.all(Array.from({ length: Number(atOnce) }, lane));
for (const socket of stayed) socket.destroy();
process.stdout.write(`${JSON.stringify({ letIn })}\n`);
