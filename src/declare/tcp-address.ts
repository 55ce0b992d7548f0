/** An address to listen on; `host` in its shortest form (RFC 5952), without brackets. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** What is wrong with a text, and what to write instead. */
export interface Refusal {
  readonly refused: string;
  readonly hint?: string;
}

/** Reads `127.0.0.1:8081` or `[::1]:8081`. */
export function parseTcpAddress(text: string): TcpAddress | Refusal {
  if (/^:?\d+$/.test(text)) {
    const port = text.replace(':', '');
    return {
      refused: 'it has no address',
      hint: `write '127.0.0.1:${port}' for programs on this host, or '0.0.0.0:${port}' for everybody`,
    };
  }
  const match = /^(?:\[([^[\]]*)\]|([^[\]:]*)):([^:]*)$/.exec(text);
  if (match === null) {
    const colons = text.split(':').length - 1;
    if (colons > 1 && !text.includes('['))
      return { refused: 'an IPv6 address needs brackets', hint: "write it like '[::1]:8081'" };
    return { refused: 'it has no port', ...(colons === 0 ? { hint: `write '${text.slice(0, 64)}:PORT'` } : {}) };
  }
  const [, six, four, digits = ''] = match;
  const port = readPort(digits);
  if (typeof port !== 'number') return port;
  if (six !== undefined) {
    const host = parseIpv6(six);
    return typeof host === 'string' ? { host, port } : host;
  }
  const host = four ?? '';
  if (isIpv4(host)) return { host, port };
  if (host === '*') return { refused: "'*' is not an address", hint: `write '0.0.0.0:${port}' or '[::]:${port}'` };
  if (host === 'localhost')
    return { refused: 'host names are refused', hint: `write '127.0.0.1:${port}' or '[::1]:${port}'` };
  if (/[a-z]/i.test(host)) return { refused: 'host names are refused', hint: 'write the IP address' };
  return { refused: `'${host.slice(0, 64)}' is not an IPv4 address` };
}

export function readPort(digits: string): number | Refusal {
  const port = /^[1-9]\d{0,4}$/.test(digits) ? Number(digits) : 0;
  return port >= 1 && port <= 65535 ? port : { refused: `'${digits.slice(0, 20)}' is not a port from 1 to 65535` };
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

function parseIpv6(text: string): string | Refusal {
  const wrong = { refused: `'${text.slice(0, 64)}' is not an IPv6 address` };
  if (text.includes('%'))
    return { refused: 'an address with a zone (%) is refused', hint: 'listen on [::] or on a global address' };
  if (isIpv4(text)) return { refused: 'brackets are for IPv6 addresses', hint: `write '${text}' without them` };
  const mapped = /^::ffff:([\d.]+)$/i.exec(text)?.[1];
  if (mapped !== undefined && isIpv4(mapped))
    return { refused: 'it is an IPv4 address in IPv6 form', hint: `write '${mapped}'` };
  const halves = text.split('::');
  if (halves.length > 2) return wrong;
  const [left = [], right = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = [...left, ...right];
  if (!given.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return wrong;
  if (halves.length === 2 ? given.length > 7 : given.length !== 8) return wrong;
  const groups = [...left, ...Array<string>(8 - given.length).fill('0'), ...right].map((group) =>
    Number.parseInt(group, 16),
  );
  return shortestIpv6(groups);
}

/** RFC 5952: lower case, no leading zeros, '::' for the first longest run of two or more zeros. */
export function shortestIpv6(groups: readonly number[]): string {
  let bestStart = 0;
  let bestLength = 1;
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (start + length < groups.length && groups[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestLength < 2) return hex.join(':');
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`;
}
