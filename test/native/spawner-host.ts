import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { pipe, sendWithFds } from '../../src/kernel/native.ts';
import { makeSkeleton } from '../../src/sandbox/skeleton.ts';
import { descriptorOf } from './descriptor-of.ts';
import { openFilter, payload, program, type Report, type Running, startWithRun } from './native-programs.ts';

/** Runs the real plugin-spawner with a /run of its own, and plays supervisor, systemd and journal for it. */

export const UNIT = 'plugin-x-a-g1.scope';
export const ID_BASE = 1_000_000_000;

/** What a spawn asks for; each part has a default that works. */
export interface Order {
  readonly unit?: string;
  readonly root?: string;
  readonly network?: 'own' | 'host';
  /** Further options of the box. */
  readonly options?: readonly string[];
  /** Further options of init. */
  readonly init?: readonly string[];
  readonly command?: readonly string[];
  /** Instead of all words. */
  readonly words?: readonly string[];
  /** Behind report pipe and filter. */
  readonly listeners?: readonly number[];
  /** Instead of report pipe, filter and listeners. */
  readonly fds?: readonly number[];
  /** Instead of `spawn 1 UNIT LENGTH`, without its end. */
  readonly line?: string;
}

/** One connection to the spawner, from the supervisor's end. */
export class Spawn {
  readonly unit: string;
  readonly socket: Socket;
  readonly reports: Report[] = [];
  said = '';
  /** The spawner has closed it. */
  readonly closed: Promise<void>;
  /** Nobody holds the report pipe any more. */
  readonly gone: Promise<void>;
  readonly #reportPipe: Socket;

  constructor(unit: string, socket: Socket, reportFd: number) {
    this.unit = unit;
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.said += chunk.toString();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((settle) => socket.on('close', () => settle()));
    this.#reportPipe = new Socket({ fd: reportFd, readable: true, writable: false });
    let rest = '';
    this.#reportPipe.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.reports.push(JSON.parse(line) as Report);
    });
    this.gone = new Promise((settle) => this.#reportPipe.on('close', () => settle()));
  }

  events(): string[] {
    return this.reports.map((report) => report.event);
  }

  /** All that it says until it closes the connection. */
  async answer(): Promise<string> {
    await this.closed;
    return this.said;
  }

  /** Process id of the child, once it is told. */
  async cloned(): Promise<number> {
    await until(`cloned: ${this.said}`, () => this.said.includes('\n'), 8000);
    const pid = /^cloned ([1-9]\d*)\n/.exec(this.said)?.[1];
    if (pid === undefined) throw new Error(`not cloned: ${this.said}`);
    return Number(pid);
  }

  say(text: string): void {
    this.socket.write(text);
  }

  drop(): void {
    this.socket.destroy();
  }

  /** Stops reading the reports, too. */
  forget(): void {
    this.socket.destroy();
    this.#reportPipe.destroy();
  }
}

export class SpawnerHost {
  readonly #directory: string;
  /** Groups of this test's own, one for each unit, as systemd makes them. */
  readonly #groups: string;
  readonly #spawns: Spawn[] = [];
  #journal: Server | undefined;
  #daemon: Running | undefined;
  /** What came by each connection to the journal: seven lines, then text. */
  readonly streams: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    this.#groups = join(cgroupMount(), `bulkhead-native-${process.pid}`);
  }

  get root(): string {
    return join(this.#directory, 'root');
  }

  get socketPath(): string {
    return join(this.#directory, 'spawn.sock');
  }

  get daemon(): Running {
    if (this.#daemon === undefined) throw new Error('the spawner was not started');
    return this.#daemon;
  }

  async start(): Promise<void> {
    makeSkeleton(this.root);
    mkdirSync(this.#groups, { recursive: true });
    await this.#startJournal();
    await this.startDaemon();
  }

  async startDaemon(): Promise<void> {
    const script = 'mkdir -p /run/systemd/journal; mount --bind /run/bulkhead/journal /run/systemd/journal; exec "$0"';
    const daemon = startWithRun(this.#directory, ['bash', '-c', script, program('plugin-spawner')], {});
    this.#daemon = daemon;
    while (!(await this.#answers())) {
      if (daemon.child.exitCode !== null) throw new Error(`the spawner ended: ${daemon.err}`);
      await pause(5);
    }
  }

  async #answers(): Promise<boolean> {
    const socket = connect(this.socketPath);
    const answers = await new Promise<boolean>((settle) => {
      socket.on('connect', () => settle(true));
      socket.on('error', () => settle(false));
    });
    socket.destroy();
    return answers;
  }

  async #startJournal(): Promise<void> {
    const directory = join(this.#directory, 'journal');
    mkdirSync(directory, { recursive: true });
    const server = createServer((socket) => {
      const index = this.streams.push('') - 1;
      socket.on('data', (chunk: Buffer) => {
        this.streams[index] += chunk.toString();
      });
      socket.on('error', () => undefined);
    });
    this.#journal = server;
    await new Promise<void>((settle) => server.listen(join(directory, 'stdout'), settle));
    chmodSync(join(directory, 'stdout'), 0o666);
  }

  /** What the payloads have said, without the headers. */
  output(): string {
    return this.streams.map((stream) => stream.split('\n').slice(7).join('\n')).join('');
  }

  words(order: Order = {}): string[] {
    if (order.words !== undefined) return [...order.words];
    return [
      ...['--machine', 'x-a-g1', '--plugin', 'x', '--uid-base', `${ID_BASE}`, '--root', order.root ?? this.root],
      ...['--network', order.network ?? 'own', '--nofile', '1024'],
      ...['--bind-ro', '/usr', '/usr', '--bind-ro', program('plugin-init'), '/run/plugin-init'],
      ...['--bind-ro', dirname(payload('probe')), '/plugin', '--tmpfs', '/tmp', '1048576', '1777'],
      ...(order.options ?? []),
      ...['--', '/run/plugin-init', '--uid=1000', '--gid=1001', '--ready=exec', '--env=PATH=/usr/bin:/usr/sbin'],
      ...(order.init ?? []),
      ...['--', ...(order.command ?? ['/plugin/probe', 'sleep', '600000'])],
    ];
  }

  /** Connects, and sends an order. */
  async spawn(order: Order = {}): Promise<Spawn> {
    const unit = order.unit ?? UNIT;
    const socket = connect(this.socketPath);
    await new Promise<void>((settle, fail) => socket.on('connect', settle).on('error', fail));
    const report = pipe();
    const filter = openSync(openFilter(this.#directory), 'r');
    const spawn = new Spawn(unit, socket, report.read);
    this.#spawns.push(spawn);
    const block = Buffer.from(
      this.words(order)
        .map((word) => `${word}\0`)
        .join(''),
    );
    const bytes = Buffer.concat([Buffer.from(`${order.line ?? `spawn 1 ${unit} ${block.length}`}\n`), block]);
    const fds = order.fds ?? [report.write, filter, ...(order.listeners ?? [])];
    const sent = sendWithFds(descriptorOf(socket), bytes, fds);
    if (sent < bytes.length) socket.write(bytes.subarray(sent));
    closeSync(report.write);
    closeSync(filter);
    return spawn;
  }

  /** Puts a process into the group of a unit. */
  register(pid: number, unit = UNIT): void {
    const group = join(this.#groups, unit);
    mkdirSync(group, { recursive: true });
    writeFileSync(join(group, 'cgroup.procs'), `${pid}`);
  }

  /** The whole of it, until init was executed. */
  async run(order: Order = {}): Promise<{ spawn: Spawn; pid: number }> {
    const spawn = await this.spawn(order);
    const pid = await spawn.cloned();
    this.register(pid, spawn.unit);
    spawn.say(`go ${spawn.unit}\n`);
    const answer = await spawn.answer();
    if (answer !== `cloned ${pid}\nstarted\n`) throw new Error(`${answer}${JSON.stringify(spawn.reports)}`);
    return { spawn, pid };
  }

  /** What a payload of a shell command says, and the end of it. */
  async shell(script: string, order: Order = {}): Promise<string> {
    const { spawn } = await this.run({ ...order, command: ['/usr/bin/bash', '-c', script] });
    await spawn.gone;
    // The stream may still be on its way.
    await until(`end of ${script}`, () => this.output().includes('\nthe end\n') || !script.endsWith('echo the end'));
    return this.output();
  }

  async stop(): Promise<void> {
    for (const spawn of this.#spawns.splice(0)) spawn.forget();
    for (const unit of readdirSync(this.#groups, { withFileTypes: true })) {
      if (!unit.isDirectory()) continue;
      const group = join(this.#groups, unit.name);
      writeFileSync(join(group, 'cgroup.kill'), '1');
      await until('empty group', () => readFileSync(join(group, 'cgroup.procs'), 'utf8') === '');
      rmdirSync(group);
    }
    rmdirSync(this.#groups);
    this.#daemon?.kill();
    await this.#daemon?.ended;
    this.#journal?.close();
  }
}

/** Where version 2 of the cgroups is mounted. */
function cgroupMount(): string {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount = '', type = ''] = line.split(' - ');
    if (type.startsWith('cgroup2 ')) return mount.split(' ')[4] ?? '';
  }
  throw new Error('there is no cgroup2 on this host');
}

function pause(ms: number): Promise<void> {
  return new Promise((settle) => setTimeout(settle, ms));
}

export async function until(what: string, condition: () => boolean, ms = 4000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`no ${what}`);
    await pause(2);
  }
}
