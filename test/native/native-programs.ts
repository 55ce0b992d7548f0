import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pipe } from '../../src/kernel/native.ts';

/** Runs the built C programs on this host, in namespaces of their own, with hand-made descriptors. */

function checkoutOf(directory: string): string {
  return existsSync(join(directory, 'native', 'build')) ? directory : checkoutOf(dirname(directory));
}

export const checkout = checkoutOf(dirname(fileURLToPath(import.meta.url)));
/** Where init, launcher and anchor are taken from: build/native-asan to test the sanitized ones. */
const programs = resolve(checkout, process.env.BULKHEAD_NATIVE_DIR ?? 'build/native');
export const sanitized = programs.endsWith('-asan');
export const lists = join(checkout, 'templates', 'seccomp');

export function program(name: string): string {
  return join(programs, name);
}

export function tool(name: string): string {
  return join(checkout, 'build', 'native', name);
}

/** A payload of native/test, linked statically. */
export function payload(name: string): string {
  return join(checkout, 'build', 'native', 'test', name);
}

/** Builds what is out of date; the whole suite needs root for its namespaces. */
export function prepare(this: Mocha.Context): void {
  if (process.getuid?.() !== 0) {
    process.stderr.write('    needs root: namespaces cannot be made otherwise\n');
    this.skip();
  }
  this.timeout(120_000);
  const build = join(checkout, 'native', 'build');
  execFileSync(build, ['--tests'], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (sanitized) execFileSync(build, ['--sanitize'], { stdio: ['ignore', 'ignore', 'inherit'] });
}

export function scratch(): { path: string; remove(): void } {
  // Passable for payloads of other ids, as /run/bulkhead would be.
  const path = mkdtempSync(join(tmpdir(), 'bulkhead-native-'));
  execFileSync('chmod', ['755', path]);
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Compiles a list; `name` is one of templates/seccomp with the parts that are laid over it (`native+ptrace`), or a path. */
export function compileFilter(directory: string, name: string): string {
  const out = join(directory, 'filter.bpf');
  const [profile = '', ...parts] = name.split('+');
  const list = name.includes('/') ? name : join(lists, `${profile}.list`);
  const added = parts.flatMap((part) => ['--add', join(lists, 'parts', `${part}.list`)]);
  execFileSync(tool('bulkhead-seccomp'), ['compile', list, ...added, '-o', out]);
  return out;
}

/** A filter of one instruction: everything is allowed. For tests that are about something else. */
export function openFilter(directory: string): string {
  const out = join(directory, 'open.bpf');
  // BPF_RET | BPF_K, SECCOMP_RET_ALLOW (linux/filter.h, linux/seccomp.h)
  writeFileSync(out, Buffer.from([0x06, 0, 0, 0, 0, 0, 0xff, 0x7f]));
  return out;
}

export type Report = { readonly event: string; readonly [field: string]: string | number | boolean };

/** A program that runs, with all that it says. */
export class Running {
  readonly child: ChildProcess;
  out = '';
  err = '';
  readonly reports: Report[] = [];
  readonly ended: Promise<number>;
  #reportSocket: Socket | undefined;

  constructor(child: ChildProcess, reportFd: number | undefined) {
    this.child = child;
    child.stdout?.on('data', (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      this.err += chunk.toString();
    });
    const closed = new Promise<number>((settle) => {
      child.on('close', (code, signal) => settle(code ?? (signal === null ? -1 : -2)));
    });
    let drained = Promise.resolve();
    if (reportFd !== undefined) {
      const socket = new Socket({ fd: reportFd, readable: true, writable: false });
      this.#reportSocket = socket;
      let rest = '';
      socket.on('data', (chunk: Buffer) => {
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) this.reports.push(JSON.parse(line) as Report);
      });
      drained = new Promise((settle) => socket.on('close', () => settle()));
    }
    this.ended = closed.then(async (code) => {
      await drained;
      return code;
    });
  }

  /** As when the supervisor dies. */
  closeReports(): void {
    this.#reportSocket?.destroy();
  }

  events(): string[] {
    return this.reports.map((report) => report.event);
  }

  report(event: string): Report | undefined {
    return this.reports.find((report) => report.event === event);
  }

  /** Waits for something to become true; the failure shows what was there instead. */
  async until(what: string, condition: () => boolean, ms = 4000): Promise<void> {
    const deadline = Date.now() + ms;
    while (!condition()) {
      if (Date.now() > deadline)
        throw new Error(`no ${what}; out: ${this.out} err: ${this.err} reports: ${JSON.stringify(this.reports)}`);
      await new Promise((settle) => setTimeout(settle, 5));
    }
  }

  /** Process id, here, of the program itself: the child of unshare(1). */
  async innerPid(): Promise<number> {
    const file = `/proc/${this.child.pid}/task/${this.child.pid}/children`;
    await this.until('inner process', () => /^\d+ /.test(readOr(file)));
    return Number(readOr(file).trim().split(' ')[0]);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}

function readOr(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

export interface InitOptions {
  readonly directory: string;
  /** Beside --uid, --gid and --ready, which are 1000, 1001 and exec if not given here. */
  readonly options?: readonly string[];
  readonly command: readonly string[];
  /** A compiled filter; default: everything is allowed. `none` leaves descriptor 4 closed. */
  readonly filter?: string;
  /** Listening sockets, and whatever else is to be open from 5 on. */
  readonly descriptors?: readonly number[];
  readonly environment?: Record<string, string>;
  /** Shell text that is run in the namespaces before init is executed. */
  readonly before?: string;
  /** A network namespace of its own, with its loopback up. */
  readonly network?: boolean;
  /** Replaces the pid namespace: init is then an ordinary process. */
  readonly notPid1?: boolean;
}

/** Starts plugin-init as PID 1 of its own namespaces, with /run empty. */
export function startInit(given: InitOptions): Running {
  const report = pipe();
  const filter = openSync(given.filter ?? openFilter(given.directory), 'r');
  const has = (name: string) => given.options?.some((option) => option.startsWith(name)) === true;
  const options = [
    ...(has('--uid') ? [] : ['--uid=1000']),
    ...(has('--gid') ? [] : ['--gid=1001']),
    ...(has('--ready') ? [] : ['--ready=exec']),
    ...(given.options ?? []),
  ];
  const namespaces = [
    '--mount',
    '--propagation',
    'private',
    ...(given.notPid1 ? [] : ['--pid', '--mount-proc']),
    ...(given.network ? ['--net'] : []),
  ];
  const up = given.network ? 'ip link set lo up;' : '';
  const script = `mount -t tmpfs tmpfs /run; ${up} ${given.before ?? ''}\nexec "$@"`;
  const child = spawn(
    'unshare',
    [
      ...namespaces,
      '--fork',
      '--kill-child',
      'bash',
      '-c',
      script,
      'bash',
      program('plugin-init'),
      ...options,
      '--',
      ...given.command,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe', report.write, filter, ...(given.descriptors ?? [])],
      env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', SECRET: 'of PID 1', ...given.environment },
    },
  );
  closeSync(report.write);
  closeSync(filter);
  return new Running(child, report.read);
}

/** Starts a program that looks for /run/bulkhead: there it finds `directory`. */
export function startWithRun(directory: string, argv: readonly string[], environment: Record<string, string>): Running {
  const script = 'mount -t tmpfs tmpfs /run; mkdir /run/bulkhead; mount --bind "$0" /run/bulkhead; exec "$@"';
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', '--fork', '--kill-child', 'bash', '-c', script, directory, ...argv],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/bin:/bin', ...environment },
    },
  );
  return new Running(child, undefined);
}

/** A receiver of datagrams at `path`, as systemd's notification socket is. */
export async function startSink(path: string): Promise<Running> {
  mkdirSync(dirname(path), { recursive: true });
  const sink = new Running(spawn(payload('sink'), [path], { stdio: ['ignore', 'pipe', 'pipe'] }), undefined);
  await sink.until('socket', () => sink.out.startsWith('bound\n'));
  return sink;
}

export function messages(sink: Running): string[] {
  return sink.out.split('\n').slice(1, -1);
}

/** What `probe state` printed: label -> lines. */
export function stateOf(out: string): Map<string, string[]> {
  const state = new Map<string, string[]>();
  for (const line of out.split('\n')) {
    const tab = line.indexOf('\t');
    if (tab < 0) continue;
    const label = line.slice(0, tab);
    state.set(label, [...(state.get(label) ?? []), line.slice(tab + 1)]);
  }
  return state;
}

/** A field of /proc/PID/status out of `probe state`. */
export function statusField(state: Map<string, string[]>, name: string): string | undefined {
  return state
    .get('status')
    ?.find((line) => line.startsWith(`${name}:`))
    ?.slice(name.length + 1)
    .trim();
}
