import { type Attempt, forbidden, forbiddenAlone, harmless, refused } from '../attempt.ts';

/** Families of socket(2) that no payload needs, from <bits/socket.h>. */
const FAMILIES = {
  ax25: 3,
  ipx: 4,
  appletalk: 5,
  x25: 9,
  key: 15,
  packet: 17,
  rds: 21,
  pppox: 24,
  llc: 26,
  infiniband: 27,
  mpls: 28,
  can: 29,
  tipc: 30,
  bluetooth: 31,
  rxrpc: 33,
  phonet: 35,
  ieee802154: 36,
  caif: 37,
  crypto: 38,
  nfc: 39,
  vsock: 40,
  kcm: 41,
  qipcrtr: 42,
  smc: 43,
  xdp: 44,
  mctp: 45,
} as const;
const STREAM = 1;
const DATAGRAM = 2;
const RAW = 3;
const PACKET = 10;

/** What is at an address of the host that its own users can reach. */
function connecting(what: string, words: Attempt['steps'], error: string): Attempt {
  return { name: `to connect to ${what}`, steps: words, expects: refused(error) };
}

const HOST_PATHS = [
  '/run/bulkhead/launch.sock',
  '/run/bulkhead/anchor.sock',
  '/run/systemd/private',
  '/run/systemd/journal/stdout',
  '/run/dbus/system_bus_socket',
  '/run/systemd/userdb/io.systemd.DynamicUser',
];
const HOST_DATAGRAM_PATHS = [
  '/run/systemd/notify',
  '/run/systemd/journal/socket',
  '/run/systemd/journal/dev-log',
  '/dev/log',
];

export const SOCKETS: readonly Attempt[] = [
  ...Object.entries(FAMILIES).map(([name, family]) =>
    (['crypto', 'vsock', 'qipcrtr', 'tipc', 'kcm', 'rds', 'can', 'smc', 'bluetooth', 'nfc'].includes(name)
      ? forbiddenAlone
      : forbidden)(`a socket of family ${name}`, [
      'socket',
      family,
      family === 17 || family === 44 ? RAW : family === 38 || family === 21 || family === 30 ? 5 : DATAGRAM,
      0,
    ]),
  ),
  ...[0, 4, 9, 12, 15, 16].map(
    (protocol): Attempt => ({
      name: `netlink of protocol ${protocol}`,
      steps: () => [['socket', 16, RAW, protocol]],
      expects: refused('EAFNOSUPPORT'),
      filterOnly: true,
    }),
  ),
  ...[
    ['raw ICMP', 2, RAW, 1],
    ['raw TCP', 2, RAW, 6],
    ['raw everything', 2, RAW, 255],
    ['raw ICMP version 6', 10, RAW, 58],
  ].map(
    ([name, family, type, protocol]): Attempt => ({
      name: `a socket for ${name}`,
      steps: () => [['socket', Number(family), Number(type), Number(protocol)]],
      expects: refused('EPERM'),
    }),
  ),
  forbidden('a socket for packets, asked for as of old', ['socket', 2, PACKET, 0x0300]),
  forbidden('a socket of SCTP, whose module the kernel would load', ['socket', 2, STREAM, 132]),
  forbidden('a socket of DCCP, whose module the kernel would load', ['socket', 2, 6, 33]),
  forbidden('a socket of L2TP, whose module the kernel would load', ['socket', 2, DATAGRAM, 115]),
  {
    name: 'a socket for pings',
    steps: () => [['socket', 2, DATAGRAM, 1]],
    expects: refused('EACCES'),
  },
  forbidden('a pair of another family', ['socketpair', 30, 5, 0, 'z:8']),
  ...HOST_PATHS.map((path) => connecting(path, () => [['connect', 'stream', 'unix', path]], 'ENOENT')),
  ...HOST_DATAGRAM_PATHS.map((path) => connecting(path, () => [['connect', 'dgram', 'unix', path]], 'ENOENT')),
  connecting('a socket of the host', ({ host }) => [['connect', 'stream', 'unix', host.socket]], 'ENOENT'),
  connecting("the neighbour's socket", ({ neighbour }) => [['connect', 'stream', 'unix', neighbour.socket]], 'ENOENT'),
  connecting('its own socket from outside', ({ socket }) => [['connect', 'stream', 'unix', socket]], 'ENOENT'),
  connecting(
    'an abstract socket of the host',
    ({ host }) => [['connect', 'stream', 'abstract', host.held.get('abstract') ?? '']],
    'ECONNREFUSED',
  ),
  connecting(
    'a port of the host',
    ({ host }) => [['connect', 'stream', 'inet', '127.0.0.1', host.port]],
    'ECONNREFUSED',
  ),
  connecting(
    "the neighbour's port",
    ({ neighbour }) => [['connect', 'stream', 'inet', '127.0.0.1', neighbour.port]],
    'ECONNREFUSED',
  ),
  connecting('the world', () => [['connect', 'stream', 'inet', '192.0.2.1', 80]], 'ENETUNREACH'),
  connecting('the world by IPv6', () => [['connect', 'stream', 'inet', '2001:db8::1', 80]], 'ENETUNREACH'),
  connecting('a name server', () => [['connect', 'dgram', 'inet', '192.0.2.53', 53]], 'ENETUNREACH'),
  connecting(
    'the cloud that the host is in',
    () => [['connect', 'stream', 'inet', '169.254.169.254', 80]],
    'ENETUNREACH',
  ),
  {
    name: 'every socket that there is',
    steps: () => [['sockets', '/']],
    expects: harmless(/^(?:\/run\/host\/(?:notify|inaccessible\/sock):EACCES:EACCES:EACCES )*$/),
  },
  {
    name: 'the address of a port of the neighbour',
    steps: ({ neighbour }) => [['bind', 'stream', 'inet', '127.0.0.1', neighbour.port]],
    expects: harmless(/^$/),
  },
  {
    name: 'a name in the place of the neighbour`s socket'.replace('`', "'"),
    steps: ({ neighbour }) => [['bind', 'stream', 'unix', neighbour.socket]],
    expects: refused('ENOENT'),
  },
  {
    name: 'a socket that the host sees, by nspawn`s export'.replace('`', "'"),
    steps: () => [['bind', 'stream', 'unix', '/run/host/unix-export/hostile']],
    expects: refused('ENOENT'),
  },
  {
    name: 'a mark on what it sends',
    steps: () => [
      ['socket', 2, STREAM, 0],
      ['call', 'setsockopt', 'fd', 1, 36, 'h:01000000', 4],
    ],
    expects: refused('EPERM'),
  },
  {
    name: 'an address that is not its own',
    steps: () => [
      ['socket', 2, STREAM, 0],
      ['call', 'setsockopt', 'fd', 0, 19, 'h:01000000', 4],
    ],
    expects: refused('EPERM'),
  },
  {
    name: 'more memory for a socket than everybody gets',
    steps: () => [
      ['socket', 2, STREAM, 0],
      ['call', 'setsockopt', 'fd', 1, 33, 'h:00000040', 4],
    ],
    expects: refused('EPERM'),
  },
];
