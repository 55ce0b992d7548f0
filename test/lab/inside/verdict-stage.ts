import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Terms } from '../../../src/diagnose/look.ts';
import type { Verdict } from '../../../src/diagnose/verdict.ts';
import { CGROUP_ROOT, killCgroup, processesIn } from '../../../src/kernel/cgroup.ts';
import { bootTime, systemClock } from '../../../src/kernel/clock.ts';
import { listenUnix } from '../../../src/kernel/native.ts';
import { SandboxGauge } from '../../../src/kernel/sandbox-gauge.ts';
import { Sampler } from '../../../src/watch/sampler.ts';
import { until } from '../../support/system.ts';

const PROGRAM = `${process.env.BULKHEAD_HOSTILE ?? '/opt/bulkhead-test/plugins'}/misbehave`;

export const TERMS: Terms = {
  heartbeatMs: 1000,
  requestTimeoutMs: 2000,
  spinMs: 3000,
  stoppedMs: 3000,
  starting: false,
  withoutTraffic: false,
  livenessFails: false,
  memoryBytes: 'infinity',
  files: 1024,
  tasks: 'infinity',
};

/** When something was found, in milliseconds of CLOCK_MONOTONIC. */
export interface Told {
  readonly at: number;
  readonly verdict: Verdict;
}

/** The misbehaving program in a cgroup and a pid namespace of its own, watched as the supervisor watches a sandbox. */
export class VerdictStage {
  readonly told: Told[] = [];
  readonly trouble: string[] = [];
  readonly cgroup: string;
  readonly #directory: string;
  readonly #sockets: Socket[] = [];
  readonly #sampler: Sampler;
  terms = TERMS;

  private constructor(name: string, directory: string) {
    this.cgroup = `/${name}`;
    this.#directory = directory;
    const sandbox = {
      unit: name,
      cgroup: this.cgroup,
      payloadCgroup: this.cgroup,
      fillable: [],
      judged: true,
      followed: false,
    };
    this.#sampler = new Sampler({
      clock: systemClock,
      bootTime,
      living: () => [{ ...sandbox, activity: `${directory}/page`, terms: this.terms }],
      gauge: (gauged) => new SandboxGauge(gauged),
      diagnosed: (_unit, verdict) => this.told.push({ at: systemClock.now(), verdict }),
      followed: () => {},
      counted: () => {},
      killed: () => {},
      gone: () => {},
      trouble: (text, thrown) => this.trouble.push(`${text} ${thrown ?? ''}`),
    });
  }

  static async open(name: string, ...args: readonly string[]): Promise<VerdictStage> {
    const directory = mkdtempSync('/run/verdict-');
    writeFileSync(`${directory}/page`, '');
    truncateSync(`${directory}/page`, 65_536);
    mkdirSync(`${CGROUP_ROOT}/${name}`, { recursive: true });
    const listener = listenUnix({ path: `${directory}/socket`, backlog: 64, mode: 0o600 });
    const inside = `"$@" & wait`;
    const outside = `echo $$ > ${CGROUP_ROOT}/${name}/cgroup.procs; exec unshare --fork --pid sh -c '${inside}' sh "$@"`;
    spawn('sh', ['-c', outside, 'sh', PROGRAM, ...args], {
      stdio: ['ignore', 'inherit', 'inherit', listener],
      env: { ...process.env, LISTEN_FDS: '1', BULKHEAD_ACTIVITY: `${directory}/page` },
    });
    const stage = new VerdictStage(name, directory);
    await until('the program serves', () => readFileSync(`${directory}/page`, 'latin1').startsWith('BKACT001'));
    return stage;
  }

  /** Sends a request that may take so long; resolves when it is answered, or its connection has ended. */
  ask(path: string, deadlineMs: number): Promise<void> {
    const socket = connect({ path: `${this.#directory}/socket` });
    this.#sockets.push(socket);
    socket.on('error', () => {});
    socket.write(`GET ${path} HTTP/1.1\r\nDeadline-Ms: ${deadlineMs}\r\nTrace: ${'ab'.repeat(16)}\r\n\r\n`);
    socket.resume();
    return new Promise((resolve) => socket.on('close', () => resolve()));
  }

  get processes(): readonly number[] {
    return processesIn(this.cgroup);
  }

  get vitals(): ReturnType<Sampler['vitals']> {
    return this.#sampler.vitals(this.cgroup.slice(1));
  }

  async close(): Promise<void> {
    this.#sampler.release();
    for (const socket of this.#sockets) socket.destroy();
    writeFileSync(`${CGROUP_ROOT}${this.cgroup}/cgroup.freeze`, '0');
    killCgroup(this.cgroup);
    await until('all of it is gone', () => this.processes.length === 0);
    rmdirSync(`${CGROUP_ROOT}${this.cgroup}`);
    rmSync(this.#directory, { recursive: true });
  }
}
