import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { payload, program } from './native-programs.ts';

/** What a reader saw until it was ended; native/test/follower.c. */
export interface Seen {
  readonly looks: number;
  readonly missing: number;
  readonly failed: number;
  readonly mixed: number;
  readonly changes: number;
  readonly last: string;
}

export const TUNNEL = '/run/bulkhead/slot/x/a';
export const version = (name: string): string => `/opt/plugin/x/${name}`;

/** A sandbox as far as mounts go: a namespace that follows the host's, with the tunnel in its place, and a reader in it. */
export class Follower {
  readonly #child: ChildProcess;
  #out = '';

  constructor(host: ChildProcess) {
    const inside = `mkdir -p /run/slot && mount --rbind ${TUNNEL} /run/slot && exec "$@"`;
    const command = ['bash', '-c', inside, '-', payload('follower'), '/run/slot/current'];
    const namespaces = ['unshare', '--mount', '--propagation', 'slave'];
    this.#child = spawn('nsenter', ['-m', '-t', String(host.pid), ...namespaces, ...command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.#out += chunk.toString();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async started(): Promise<void> {
    const deadline = Date.now() + 5000;
    while (!readFileSync(`/proc/${this.pid}/comm`, 'utf8').startsWith('follower')) {
      if (Date.now() > deadline) throw new Error('the reader did not start');
      await new Promise((settle) => setTimeout(settle, 5));
    }
  }

  /** Mounts at the live place, whichever lies on top. */
  layers(): number {
    return layersIn(this.pid, '/run/slot/current');
  }

  now(): string {
    return inNamespaceOf(this.pid, 'cat /run/slot/current/x').trim();
  }

  async end(): Promise<Seen> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGTERM');
    await closed;
    return JSON.parse(this.#out) as Seen;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

export function inNamespaceOf(pid: number | undefined, script: string): string {
  return execFileSync('nsenter', ['-m', '-t', String(pid), 'bash', '-euc', script], { encoding: 'utf8' });
}

function layersIn(pid: number | undefined, place: string): number {
  const lines = readFileSync(`/proc/${pid}/mountinfo`, 'utf8').split('\n');
  return lines.filter((line) => line.split(' ')[4] === place).length;
}

/** A mount namespace that stands for the host's, with installed versions v1, v2 and v3 of a plugin `x`. */
export class SlotHost {
  readonly #child: ChildProcess;
  readonly followers: Follower[] = [];

  constructor() {
    this.#child = spawn('unshare', ['--mount', '--propagation', 'private', 'sleep', 'infinity'], { stdio: 'ignore' });
  }

  async open(): Promise<void> {
    const deadline = Date.now() + 5000;
    while (!readFileSync(`/proc/${this.#child.pid}/comm`, 'utf8').startsWith('sleep')) {
      if (Date.now() > deadline) throw new Error('the namespace was not made');
      await new Promise((settle) => setTimeout(settle, 5));
    }
    this.shell(`
      mount -t tmpfs -o mode=755 tmpfs /run; mount --make-shared /run; mkdir /run/bulkhead
      mount -t tmpfs -o mode=755 tmpfs /opt; mount --make-shared /opt
      for each in v1 v2 v3; do
        mkdir -p ${version('$each')}
        echo $each | tee ${version('$each')}/x >${version('$each')}/y
      done`);
  }

  /** Runs a script there; its variable SLOT is the program. Throws with what it said. */
  shell(script: string): string {
    return inNamespaceOf(this.#child.pid, `SLOT=${program('plugin-slot')}\n${script}`);
  }

  /** Runs the program there, or another one in its place. */
  run(words: readonly string[], variables: Record<string, string> = {}, file = program('plugin-slot')) {
    const { status, signal, stdout, stderr } = spawnSync(
      'nsenter',
      ['-m', '-t', String(this.#child.pid), file, ...words],
      { encoding: 'utf8', env: { ...process.env, ...variables }, timeout: 20_000 },
    );
    return { status: status ?? signal, out: stdout, err: stderr };
  }

  state(): { readonly live: string | null; readonly beneath: readonly string[] } {
    return JSON.parse(this.run(['state', TUNNEL]).out) as ReturnType<SlotHost['state']>;
  }

  async follow(): Promise<Follower> {
    const follower = new Follower(this.#child);
    this.followers.push(follower);
    await follower.started();
    return follower;
  }

  /** All who follow, as the program is told of them. */
  leaders(): string[] {
    return this.followers.flatMap(({ pid }) => ['--leader', String(pid)]);
  }

  layers(): number {
    return layersIn(this.#child.pid, `${TUNNEL}/current`);
  }

  close(): void {
    for (const follower of this.followers) follower.kill();
    this.#child.kill('SIGKILL');
  }
}
