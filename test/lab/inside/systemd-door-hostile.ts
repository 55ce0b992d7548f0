/**
 * What any local user can do on the system bus; runs as nobody. Arguments: what to send, the victim's unique
 * name, then details. Prints `sent` when the bus has taken all of it.
 */
import { createConnection } from 'node:net';
import messages from 'dbus-next/lib/message.js';
import { FrameReader } from '../../../src/systemd/safe-decoder.ts';

const [, , kind = '', victim = '', ...details] = process.argv;

function message(serial: number, type: number, fields: object, signature = '', body: unknown[] = []): Buffer {
  return messages.marshall({ type, flags: 0, serial, ...fields, ...(signature === '' ? {} : { signature, body }) })[0];
}

/** dbus-next would announce a descriptor for `h`; the forged header does not, and the bus passes it on. */
function withoutDescriptor(bytes: Buffer): Buffer {
  const at = bytes.indexOf(Buffer.from([8, 1, 0x67, 0, 1, 0x75, 0]));
  if (at < 0) throw new Error('no signature field');
  bytes[at + 5] = 'h'.charCodeAt(0);
  return bytes;
}

const SYSTEMD = { path: '/org/freedesktop/systemd1', interface: 'org.freedesktop.systemd1.Manager' };
const TEST = { path: '/org/bulkhead/Test', interface: 'org.bulkhead.Test1' };
const variant = (signature: string, value: unknown) => [signature, value];

function evil(serial: number): Buffer[] {
  const destination = victim;
  switch (kind) {
    case 'h-signal':
      return [withoutDescriptor(message(serial, 4, { destination, ...SYSTEMD, member: 'JobRemoved' }, 'u', [0]))];
    case 'h-call':
      return [
        withoutDescriptor(message(serial, 1, { destination, path: '/', interface: 'a.b', member: 'C' }, 'u', [0])),
      ];
    case 'job-removed': {
      const [path = '/', unit = ''] = details;
      const body = [1, path, unit, 'failed'];
      const signal = { ...SYSTEMD, member: 'JobRemoved' };
      return [
        message(serial, 4, { destination, ...signal }, 'uoss', body),
        message(serial + 1, 4, signal, 'uoss', body),
      ];
    }
    case 'properties-changed': {
      const [path = '/'] = details;
      const body = ['org.freedesktop.systemd1.Unit', [['ActiveState', variant('s', 'failed')]], []];
      const signal = { path, interface: 'org.freedesktop.DBus.Properties', member: 'PropertiesChanged' };
      return [message(serial, 4, { destination, ...signal }, 'sa{sv}as', body)];
    }
    case 'name-owner-changed': {
      const body = ['org.freedesktop.systemd1', ':1.0', details[0] ?? ':1.1'];
      const signal = { path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus', member: 'NameOwnerChanged' };
      return [message(serial, 4, { destination, ...signal }, 'sss', body)];
    }
    case 'large-call': {
      return [message(serial, 1, { destination, ...TEST, member: 'Echo' }, 's', ['x'.repeat(1_000_000)])];
    }
    case 'flood': {
      const call = { destination, ...TEST, member: 'Wait' };
      return Array.from({ length: Number(details[0] ?? 1) }, (_, index) => message(serial + index, 1, call));
    }
    default:
      throw new Error(`unknown kind '${kind}'`);
  }
}

const DBUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };
const LAST = 1000;
const socket = createConnection('/run/dbus/system_bus_socket');
let greeted = false;
const frames = new FrameReader(1 << 20, {
  message(incoming) {
    if (incoming.head.type === 3) console.log(`error ${incoming.head.errorName} ${String(incoming.body()[0])}`);
    if (incoming.head.replySerial !== LAST) return;
    console.log('sent');
    socket.end();
  },
  dropped: () => undefined,
  broken: (reason) => {
    throw new Error(reason);
  },
});
socket.on('connect', () => {
  const uid = Buffer.from(String(process.getuid?.())).toString('hex');
  socket.write(`\0AUTH EXTERNAL ${uid}\r\nBEGIN\r\n`);
  socket.write(message(1, 1, { ...DBUS, member: 'Hello' }));
  for (const bytes of evil(2)) socket.write(bytes);
  // Its answer comes when the bus has dealt with all before, and then some time for answers of the victim.
  setTimeout(() => socket.write(message(LAST, 1, { ...DBUS, member: 'GetId' })), 200);
});
socket.on('data', (chunk) => {
  if (greeted) {
    frames.push(chunk);
    return;
  }
  greeted = true;
  frames.push(chunk.subarray(chunk.indexOf('\r\n') + 2));
});
