import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { Owned } from '../../../src/base/clock.ts';
import type { Isolation } from '../../../src/declare/declaration.ts';
import { anchorUnitName, pluginSliceName } from '../../../src/plan/identity.ts';
import { declare, run } from '../../support/system.ts';
import { BENCH_DIRECTORY, type Language, payloadsBelow } from './plugin.ts';

export type Server = Language;

/** Where a server runs; what the table calls it. */
export const PLACES = { bare: 'bare', scope: 'in a scope', nspawn: 'in nspawn' } as const;

export type Place = keyof typeof PLACES;

/** The examples of the package: program, its file, and how it is called in a directory. */
const PROGRAMS = {
  c: { template: 'native', from: `${BENCH_DIRECTORY}/server`, file: 'main', call: (file: string) => [file] },
  python: {
    template: 'python',
    from: '/usr/share/doc/bulkhead/examples/hello-python/main.py',
    file: 'main.py',
    call: (file: string) => ['/usr/bin/python3', file],
  },
  node: {
    template: 'node',
    from: '/usr/share/doc/bulkhead/examples/hello-node/main.js',
    file: 'main.js',
    call: (file: string) => ['/usr/bin/node', file],
  },
} as const;

/** What a program needs in its directory. */
const BESIDE: Readonly<Record<Server, readonly string[]>> = { c: [], python: ['activity.py'], node: ['activity.js'] };

/** One of the examples as a plugin. */
export class ServerPlugin {
  readonly isolation: Isolation;
  readonly anchor: string;
  readonly #name: string;
  readonly #server: Server;

  constructor(server: Server, isolation: Isolation) {
    this.isolation = isolation;
    this.#server = server;
    this.#name = `overhead-${server}-${isolation}`;
    this.anchor = anchorUnitName(this.#name);
  }

  install(declaration: readonly string[]): void {
    const { template, from, file } = PROGRAMS[this.#server];
    const directory = `/opt/plugin/${this.#name}/v1`;
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    cpSync(from, `${directory}/${file}`);
    for (const beside of BESIDE[this.#server]) cpSync(`${dirname(from)}/${beside}`, `${directory}/${beside}`);
    declare(this.#name, [`template: ${template}`, 'version: v1', `isolation: ${this.isolation}`, ...declaration]);
  }

  /** Host pid of the one process of its payload. */
  get pid(): number {
    const [pid, ...more] = payloadsBelow(`/plugin.slice/${pluginSliceName(this.#name)}`);
    if (pid === undefined || more.length > 0) throw new Error(`'${this.#name}' has not one process`);
    return pid;
  }

  async remove(): Promise<void> {
    await run('systemctl', 'stop', this.anchor);
    rmSync(`/etc/bulkhead/plugins/${this.#name}.yaml`, { force: true });
    rmSync(`/opt/plugin/${this.#name}`, { recursive: true, force: true });
  }
}

/** The same program without any walls, on a socket that it is handed in the same way. */
export async function startBare(server: Server, port: number): Promise<Owned & { readonly pid: number }> {
  const { from, call } = PROGRAMS[server];
  const [program = '', ...words] = call(from);
  const listener = createServer().listen({ host: '127.0.0.1', port, backlog: 4096 });
  await once(listener, 'listening');
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
  const child = spawn(program, words, {
    stdio: ['ignore', 'ignore', 'inherit', fd],
    // A session of its own, as init makes one: the kernel may share processors out by session (sched(7), autogroup).
    detached: true,
    env: { PATH: '/usr/bin:/bin', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http', PYTHONUNBUFFERED: '1' },
  });
  listener.close();
  if (child.pid === undefined) throw new Error(`'${program}' cannot be executed`);
  return { pid: child.pid, release: () => child.kill('SIGKILL') };
}

/** One spell of requests. */
export interface Spell {
  /** Requests per second. */
  readonly rate: number;
  /** CPU time of the server for each, in microseconds: on a busy machine this says more than the rate. */
  readonly cpuUs: number;
  readonly answers: number;
}

/** Asks the server with this pid on this port for so long. */
export async function measure(pid: number, port: number, connections: number, ms: number): Promise<Spell> {
  const words = [port, connections, ms].map(String);
  const before = cpuNs(pid);
  const { stdout } = await promisify(execFile)(`${BENCH_DIRECTORY}/rate`, words);
  const cpu = cpuNs(pid) - before;
  const [answers = Number.NaN, nanoseconds = Number.NaN] = stdout.trim().split(' ').map(Number);
  return { rate: (answers * 1e9) / nanoseconds, cpuUs: cpu / 1000 / answers, answers };
}

/** Time on a processor of all threads (proc_pid_schedstat(5)). */
function cpuNs(pid: number): number {
  const times = readdirSync(`/proc/${pid}/task`).map((task) =>
    Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]),
  );
  return times.reduce((all, time) => all + time, 0);
}
