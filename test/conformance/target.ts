import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { PROJECT } from '../unit/project.ts';
import { dismissPeers, HANG_MS, Peer, type PeerOptions } from './peer/peer.ts';

/** How the program of an SDK is started that has the methods which the suite calls; see docs/hacking.md. */
export interface Kind {
  readonly name: string;
  /** Features that not every SDK has to have. */
  readonly takes: readonly string[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const FILES = ['body', 'descriptor'];
const KINDS: readonly Kind[] = [
  {
    name: 'node',
    takes: FILES,
    command: [process.execPath, 'build/js/test/conformance/targets/node.js'],
    environment: {},
  },
  {
    name: 'python',
    takes: FILES,
    command: ['/usr/bin/python3', 'test/conformance/targets/python.py'],
    environment: { PYTHONDONTWRITEBYTECODE: '1' },
  },
  {
    name: 'c',
    takes: FILES,
    command: [`${process.env.BULKHEAD_NATIVE_DIR ?? 'build/native'}/test/conformance-target`],
    environment: {},
  },
];

/**
 * Those that are tested: all of ours; of BULKHEAD_TARGETS (names, with commas) just these; or the one that
 * BULKHEAD_TARGET starts, a command of any language.
 */
export function kinds(): readonly Kind[] {
  const other = process.env.BULKHEAD_TARGET;
  if (other !== undefined && other !== '') {
    const takes = (process.env.BULKHEAD_TARGET_TAKES ?? '').split(',');
    return [{ name: 'other', takes, command: ['sh', '-c', other], environment: {} }];
  }
  const names = process.env.BULKHEAD_TARGETS?.split(',');
  const chosen = KINDS.filter(({ name }) => names?.includes(name) !== false);
  assert.ok(chosen.length > 0, `BULKHEAD_TARGETS=${process.env.BULKHEAD_TARGETS} names none of ours`);
  return chosen;
}

/** Runs the tests for each SDK, all with one running target unless they start others. */
export function forEachTarget(title: string, tests: (target: () => Target, kind: Kind) => void): void {
  for (const kind of kinds())
    describe(`${title} (${kind.name})`, function () {
      this.timeout(3 * HANG_MS);
      let target: Target | undefined;
      before(async () => {
        target = await Target.start(kind);
      });
      afterEach(async () => {
        await dismissPeers();
        assert.equal(target?.isRunning, true, `it has ended: ${target?.said}`);
      });
      after(() => target?.remove());
      tests(() => {
        assert.ok(target !== undefined);
        return target;
      }, kind);
    });
}

export interface StartOptions {
  /** Where socket and state are; one of its own by default. */
  readonly directory?: string;
  readonly environment?: Readonly<Record<string, string>>;
  /** Descriptors from 3 on. */
  readonly descriptors?: readonly number[];
}

/** A program of an SDK that runs. */
export class Target {
  readonly kind: Kind;
  readonly directory: string;
  readonly child: ChildProcess;
  readonly ended: Promise<number | NodeJS.Signals>;
  isRunning = true;
  /** What it has written to stderr. */
  said = '';
  readonly #own: boolean;

  private constructor(kind: Kind, options: StartOptions) {
    this.kind = kind;
    this.#own = options.directory === undefined;
    this.directory = options.directory ?? mkdtempSync(join(tmpdir(), 'bulkhead-conformance-'));
    mkdirSync(this.state, { recursive: true });
    const [program = '', ...words] = kind.command;
    this.child = spawn(
      program.includes('/') ? join(program.startsWith('/') ? '/' : PROJECT, program) : program,
      words,
      {
        cwd: PROJECT,
        env: {
          PATH: process.env.PATH,
          BULKHEAD_RPC_SOCKET: this.socket,
          STATE_DIRECTORY: this.state,
          ...kind.environment,
          ...options.environment,
        },
        stdio: ['ignore', 'ignore', 'pipe', ...(options.descriptors ?? [])],
      },
    );
    this.child.stderr?.on('data', (bytes: Buffer) => {
      this.said = (this.said + bytes.toString()).slice(-10_000);
    });
    this.ended = new Promise((resolve) => {
      // Not 'exit': what it said last is still to be read then.
      this.child.on('close', (code, signal) => {
        this.isRunning = false;
        resolve(code ?? signal ?? -1);
      });
      this.child.on('error', (error) => {
        this.said += String(error);
        this.isRunning = false;
        resolve(-1);
      });
    });
  }

  /** Resolves when it can be connected to. */
  static async start(kind: Kind, options: StartOptions = {}): Promise<Target> {
    const target = Target.spawn(kind, options);
    const end = performance.now() + HANG_MS;
    while (!existsSync(target.socket) || !(await target.#answers())) {
      if (!target.isRunning || performance.now() > end) {
        target.remove();
        assert.fail(`the target '${kind.command.join(' ')}' does not serve; it said: ${target.said}`);
      }
      await pause(20);
    }
    return target;
  }

  static spawn(kind: Kind, options: StartOptions = {}): Target {
    return new Target(kind, options);
  }

  get socket(): string {
    return join(this.directory, 'rpc.sock');
  }

  get state(): string {
    return join(this.directory, 'state');
  }

  connect(options?: PeerOptions): Promise<Peer> {
    return Peer.connect(this.socket, options);
  }

  async #answers(): Promise<boolean> {
    try {
      const peer = await this.connect({ greet: false });
      await peer.leave();
      return true;
    } catch {
      return false;
    }
  }

  /** Memory that it has, MiB. */
  memory(field: 'VmRSS' | 'VmData' = 'VmRSS'): number {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${this.#pid}/status`, 'utf8'));
    assert.ok(found !== null);
    return Number(found[1]) / 1024;
  }

  /** What its descriptors are, sorted. */
  descriptors(): string[] {
    const directory = `/proc/${this.#pid}/fd`;
    return readdirSync(directory)
      .map((name) => readlink(`${directory}/${name}`))
      .sort();
  }

  threads(): number {
    return readdirSync(`/proc/${this.#pid}/task`).length;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Ends it, whatever it is doing, and removes what it left. */
  async remove(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
    if (this.#own) rmSync(this.directory, { recursive: true, force: true });
  }

  get #pid(): number {
    assert.ok(this.child.pid !== undefined && this.isRunning, `it has ended: ${this.said}`);
    return this.child.pid;
  }
}

/** 'gone' for one that was closed while it was looked at. */
function readlink(path: string): string {
  try {
    return readlinkSync(path).replace(/\d{2,}/, 'N');
  } catch {
    return 'gone';
  }
}

/** Waits until something holds; fails with what is seen otherwise. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = HANG_MS): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) assert.fail(`waited ${ms} ms in vain: ${what}`);
    await pause(20);
  }
}
