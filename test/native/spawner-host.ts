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
import { connect, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { pipe, sendWithFds } from '../../src/kernel/native.ts';
import { makeSkeleton } from '../../src/sandbox/skeleton.ts';
import { descriptorOf } from './descriptor-of.ts';
import { openFilter, payload, program, type Running, startWithRun } from './native-programs.ts';
import { pause, Spawn, until } from './spawner-connection.ts';

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

/** What came by a connection to the journal: seven lines about it, then text. */
export interface Stream {
  header: string;
  text: string;
  ended: boolean;
}

const HEADER_LINES = 7;

export class SpawnerHost {
  readonly #directory: string;
  /** Groups of this test's own, one for each unit, as systemd makes them. */
  readonly #groups: string;
  readonly #spawns: Spawn[] = [];
  #journal: Server | undefined;
  #daemon: Running | undefined;
  /** The connections to the journal. */
  readonly streams: Stream[] = [];

  constructor(directory: string) {
    this.#directory = directory;
    this.#groups = join(cgroupMount(), `bulkhead-native-${process.pid}`);
  }

  get root(): string {
    return join(this.#directory, 'root');
  }

  /** Another root directory, below `roots`. */
  makeRoot(name: string, change: (root: string) => void): void {
    const root = join(this.#directory, 'roots', name);
    makeSkeleton(root);
    change(root);
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
      const stream: Stream = { header: '', text: '', ended: false };
      this.streams.push(stream);
      let all = '';
      socket.on('data', (chunk: Buffer) => {
        all += chunk.toString();
        stream.header = all.split('\n', HEADER_LINES).join('\n');
        stream.text = all.split('\n').slice(HEADER_LINES).join('\n');
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        stream.ended = true;
      });
    });
    this.#journal = server;
    await new Promise<void>((settle) => server.listen(join(directory, 'stdout'), settle));
    chmodSync(join(directory, 'stdout'), 0o666);
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

  /** What is mounted on the host, and in the spawner's own namespace. */
  async mounts(): Promise<string> {
    const own = readFileSync('/proc/self/mountinfo', 'utf8');
    return own + readFileSync(`/proc/${await this.daemon.innerPid()}/mountinfo`, 'utf8');
  }

  lives(pid: number): boolean {
    try {
      return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
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

  /** What a payload has said when it has ended. */
  async told(order: Order): Promise<string> {
    const index = this.streams.length;
    await this.run(order);
    await until('end of what it says', () => this.streams[index]?.ended === true);
    return this.streams[index]?.text ?? '';
  }

  /** The same of a script. */
  shell(script: string, order: Order = {}): Promise<string> {
    return this.told({ ...order, command: ['/usr/bin/bash', '-c', script] });
  }

  async stop(): Promise<void> {
    for (const spawn of this.#spawns.splice(0)) spawn.forget();
    for (const unit of readdirSync(this.#groups, { withFileTypes: true })) {
      if (!unit.isDirectory()) continue;
      const group = join(this.#groups, unit.name);
      writeFileSync(join(group, 'cgroup.kill'), '1');
      await until('empty group', () => readFileSync(join(group, 'cgroup.events'), 'utf8').includes('populated 0'));
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
