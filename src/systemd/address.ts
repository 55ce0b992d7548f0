import { Failure } from '../base/failure.ts';

/** Where the system bus listens unless DBUS_SYSTEM_BUS_ADDRESS says otherwise. */
export const SYSTEM_BUS_SOCKET = '/run/dbus/system_bus_socket';

/** systemd's own socket, for root only; no bus daemon is between us and PID 1. */
export const PRIVATE_SOCKET = '/run/systemd/private';

/**
 * The socket paths in a D-Bus address such as `unix:path=/run/x;unix:abstract=y`, in its order; an abstract
 * name begins with NUL, as Node wants it. Parts of other kinds are left out.
 * @throws Failure BH505 when nothing usable is left.
 */
export function socketPaths(address: string): string[] {
  const paths: string[] = [];
  for (const part of address.split(';')) {
    const [kind, rest] = [part.slice(0, part.indexOf(':')), part.slice(part.indexOf(':') + 1)];
    if (kind !== 'unix') continue;
    for (const pair of rest.split(',')) {
      const [key, value] = [pair.slice(0, pair.indexOf('=')), unescapeValue(pair.slice(pair.indexOf('=') + 1))];
      if (value === undefined || value === '') continue;
      if (key === 'path' || key === 'socket') paths.push(value);
      if (key === 'abstract') paths.push(`\0${value}`);
    }
  }
  if (paths.length === 0) {
    throw new Failure('BH505', `no Unix socket in the D-Bus address '${address}'`, {
      advice: 'give DBUS_SYSTEM_BUS_ADDRESS as unix:path=/absolute/path, or unset it',
    });
  }
  return paths;
}

/** The sockets of the system bus for an environment. @throws Failure BH505 as socketPaths does. */
export function systemBusSockets(environment: Readonly<Record<string, string | undefined>>): string[] {
  const address = environment.DBUS_SYSTEM_BUS_ADDRESS;
  return address === undefined || address === '' ? [SYSTEM_BUS_SOCKET] : socketPaths(address);
}

/** D-Bus specification, "Server Addresses": `%` and two hex digits stand for a byte. */
function unescapeValue(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
