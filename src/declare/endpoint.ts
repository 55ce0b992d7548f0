import { parseTcpAddress, type Refusal, readPort } from './tcp-address.ts';

/** Where a program may connect to: an IP address without brackets (RFC 5952), or a host name in lower case. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly isName: boolean;
}

/** As in DNS: labels of letters, digits and hyphens (RFC 1123), the last one not a number, so that no address is meant. */
const NAME =
  /^(?!.*\.\d+$)(?!\d+$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
const LONGEST_NAME = 253;

/** Reads `10.1.2.3:5432`, `[2001:db8::1]:443` or `api.example.com:443`. */
export function parseEndpoint(text: string): Endpoint | Refusal {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return { refused: 'it is a URL', hint: 'write NAME:PORT' };
  if (/^:?\d+$/.test(text)) return { refused: 'it has no address' };
  if (!/[a-z*_]/i.test(text) || text.includes('[')) return addressEndpoint(text);
  const colons = text.split(':').length - 1;
  if (colons > 1) return { refused: 'an IPv6 address needs brackets', hint: "write it like '[2001:db8::1]:443'" };
  const [name = '', digits] = text.split(':');
  if (digits === undefined) return { refused: 'it has no port', hint: `write '${text.slice(0, 64)}:PORT'` };
  const port = readPort(digits);
  if (typeof port !== 'number') return port;
  if (name.includes('*')) return { refused: 'there are no wildcards', hint: 'name each host' };
  const host = name.toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost'))
    return { refused: 'that is the host itself', hint: `write '127.0.0.1:${port}' or '[::1]:${port}' if it is meant` };
  if (host.length > LONGEST_NAME || !NAME.test(host)) return { refused: `'${name.slice(0, 64)}' is not a host name` };
  return { host, port, isName: true };
}

function addressEndpoint(text: string): Endpoint | Refusal {
  if (text.includes('%')) return { refused: 'an address with a zone (%) is refused' };
  const address = parseTcpAddress(text);
  if ('refused' in address) return address;
  const { host, port } = address;
  const why = whyNoDestination(host);
  return why === undefined ? { host, port, isName: false } : { refused: `'${host}' ${why}` };
}

/** Addresses that name no single host, or not without an interface. */
function whyNoDestination(host: string): string | undefined {
  const [first = 0] = host.split('.').map(Number);
  if (host === '::' || (!host.includes(':') && first === 0)) return 'is no address to connect to';
  if (/^ff..:/.test(host) || (!host.includes(':') && first >= 224)) return 'is not the address of one host';
  return /^fe[89ab].:/.test(host) ? 'is link-local, which needs an interface' : undefined;
}

/** The endpoint as it is written in a declaration. */
export function endpointText({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
