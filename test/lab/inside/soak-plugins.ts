import { readFileSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { declare, installExample, installHostile } from '../../support/system.ts';

/** What a plugin of the soak is kept busy with. */
export interface Soaked {
  readonly name: string;
  readonly path: string;
  /** What the client of each request says that it waits; ms. */
  readonly deadlineMs: number;
  /** Program, and keys of the declaration beside those that all have. */
  readonly program: 'misbehave' | 'node';
  readonly more: readonly string[];
  /** Sandboxes that are ready, spares among them. */
  readonly size: number;
}

/** Handlers that make a heap of objects, and the collector walk it, for seconds at a time; nobody hears of progress. */
const COLLECTS = `
const kept = [];
function answer(method, path, body) {
  const end = Date.now() + (path === '/gc' ? 3000 : 0);
  while (Date.now() < end) {
    kept.push(Array.from({ length: 20000 }, (_, n) => ({ n })));
    if (kept.length > 40) kept.splice(0, 30);
  }
  return 'collected\\n';
}
`;

const MISBEHAVES = { program: 'misbehave', more: [], size: 1 } as const;

/** Idle, spare (held at a gate), slow but getting on, waiting rightly, faulting, computing, held by a quota, collecting garbage. */
export const INNOCENT: readonly Soaked[] = [
  ...several('idle', 5, { ...MISBEHAVES, path: '', deadlineMs: 0 }),
  ...several('slow', 4, { ...MISBEHAVES, path: '/do/slow?n=9', deadlineMs: 300 }),
  ...several('waits', 4, { ...MISBEHAVES, path: '/do/read-pipe', deadlineMs: 7_200_000 }),
  ...several('storms', 2, { ...MISBEHAVES, path: '/do/storm?n=3', deadlineMs: 300 }),
  ...several('throttled', 2, { ...MISBEHAVES, path: '/do/storm?n=2', deadlineMs: 300, more: ['limits: { cpu: 10% }'] }),
  ...several('collects', 2, {
    path: '/gc',
    deadlineMs: 0,
    program: 'node',
    size: 1,
    more: ['health: { request-timeout: 1s }'],
  }),
  ...several('spare', 2, { ...MISBEHAVES, path: '', deadlineMs: 0, size: 2, more: ['pool: { size: 1, standby: 1 }'] }),
  ...several('asked', 3, { ...MISBEHAVES, path: '/hello', deadlineMs: 1000 }),
];

/** Hangs for real: the act, and what it has to be called. */
export const GUILTY = {
  'hang-read': ['read-pipe', 'hang'],
  'hang-lock': ['deadlock', 'deadlock'],
  'hang-vfork': ['vfork', 'hang'],
} as const;

function several(name: string, count: number, soaked: Omit<Soaked, 'name'>): Soaked[] {
  return Array.from({ length: count }, (_, number) => ({ ...soaked, name: `soak-${name}-${number}` }));
}

export function socketOf(name: string): string {
  return `/run/plugin-${name}.sock`;
}

/** Every other one has the other kind of isolation. */
export function installSoaked(
  { name, program, more }: Pick<Soaked, 'name' | 'program' | 'more'>,
  number: number,
): void {
  const lines = [
    'version: v1',
    `listen: [{ unix: ${socketOf(name)} }]`,
    `isolation: ${number % 2 === 0 ? 'nspawn' : 'scope'}`,
    'recovery: { backoff: { initial: 100ms, max: 1s }, budget: { restarts: 1000, within: 1h } }',
    ...more,
  ];
  if (program === 'misbehave')
    return installHostile(name, 'misbehave', ['template: native', 'exec: [./main]', ...lines]);
  installExample(name, 'node', []);
  const main = `/opt/plugin/${name}/v1/main.js`;
  writeFileSync(main, readFileSync(main, 'utf8').replace(/function answer[\s\S]*?\n}\n/, COLLECTS));
  declare(name, ['template: node', ...lines]);
}

/** A client that asks again as soon as it was answered, or its connection has ended. */
export class Client {
  readonly #soaked: Pick<Soaked, 'name' | 'path' | 'deadlineMs'>;
  #socket: Socket | undefined;
  #released = false;
  answers = 0;

  constructor(soaked: Pick<Soaked, 'name' | 'path' | 'deadlineMs'>) {
    this.#soaked = soaked;
    if (soaked.path !== '') this.#ask();
  }

  release(): void {
    this.#released = true;
    this.#socket?.destroy();
  }

  #ask(): void {
    if (this.#released) return;
    this.#socket = request(this.#soaked, (answered) => {
      if (answered) this.answers += 1;
      setTimeout(() => this.#ask(), 50);
    });
  }
}

/** One request; tells when its connection has ended, and whether it was answered before. */
export function request(
  { name, path, deadlineMs }: Pick<Soaked, 'name' | 'path' | 'deadlineMs'>,
  ended: (answered: boolean) => void,
): Socket {
  const socket = connect({ path: socketOf(name) });
  let answered = false;
  socket.on('error', () => {});
  socket.on('data', () => {
    answered = true;
  });
  socket.on('close', () => ended(answered));
  const deadline = deadlineMs === 0 ? '' : `Deadline-Ms: ${deadlineMs}\r\n`;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${deadline}\r\n`);
  return socket;
}
