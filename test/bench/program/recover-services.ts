import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { must, run, systemctl, until } from '../../support/system.ts';
import { BENCH_DIRECTORY } from './plugin.ts';
import { processName } from './processes.ts';
import { type Injury, type Keeper, pidsWith, WATCHDOG_S, WHOLE_MS } from './recovery.ts';

/** The others: each set up by what its manual offers, and where there is a choice, for the fastest recovery. */

const UNITS = '/run/systemd/system';
const DIRECTORY = '/run/bulkhead-bench';

const STEADY = `${BENCH_DIRECTORY}/steady`;

/** A server that several processes of the same command line make up, found by a word of it. */
abstract class Named implements Keeper {
  abstract readonly title: string;
  abstract readonly notices: readonly Injury[];
  readonly name: string;
  readonly port: number;
  readonly size: number;

  constructor(name: string, port: number, size: number) {
    this.name = name;
    this.port = port;
    this.size = size;
  }

  abstract start(): Promise<void>;
  abstract remove(): Promise<void>;

  async install(): Promise<void> {
    mkdirSync(DIRECTORY, { recursive: true });
    await this.start();
    await this.whole();
  }

  async victim(): Promise<number> {
    // Some restart what they think is ill when nobody asked them to.
    await this.whole();
    const [pid] = this.pids();
    if (pid === undefined) throw new Error(`${this.title}: nobody serves`);
    return pid;
  }

  whole(): Promise<void> {
    return until(`${this.size} processes of ${this.title}`, () => this.pids().length === this.size, WHOLE_MS);
  }

  pids(): number[] {
    return pidsWith(this.name);
  }
}

/** Writes units below /run and starts one of them. */
async function startUnits(units: Readonly<Record<string, readonly string[]>>, first: string): Promise<void> {
  for (const [name, lines] of Object.entries(units)) writeFileSync(`${UNITS}/${name}`, `${lines.join('\n')}\n`);
  await systemctl('daemon-reload');
  await systemctl('start', first);
}

async function stopUnits(names: readonly string[]): Promise<void> {
  await run('systemctl', 'stop', ...names);
  for (const name of names) rmSync(`${UNITS}/${name}`, { force: true });
  await systemctl('daemon-reload');
}

/** A service of systemd with a socket unit and a watchdog; as instances of a template where there are several. */
export class SystemdService extends Named {
  readonly notices = ['kill', 'loop', 'stop', 'oom'] as const;

  get title(): string {
    return `systemd, Restart=always, ${this.size === 1 ? 'socket unit' : `${this.size} instances on a socket`}`;
  }

  async start(): Promise<void> {
    mkdirSync(UNITS, { recursive: true });
    const service = [
      '[Unit]',
      'StartLimitIntervalSec=0',
      '[Service]',
      'Type=notify',
      'NotifyAccess=main',
      `Sockets=${this.name}.socket`,
      'Restart=always',
      'RestartSec=0',
      `WatchdogSec=${WATCHDOG_S}`,
      'WatchdogSignal=SIGKILL',
      'MemoryMax=64M',
      `ExecStart=${STEADY} ${this.name}`,
    ];
    const socket = [
      '[Socket]',
      `ListenStream=127.0.0.1:${this.port}`,
      'TriggerLimitIntervalSec=0',
      `Service=${this.#services[0]}`,
    ];
    await startUnits({ [`${this.name}@.service`]: service, [`${this.name}.socket`]: socket }, `${this.name}.socket`);
    await systemctl('start', ...this.#services);
  }

  async remove(): Promise<void> {
    await stopUnits([`${this.name}.socket`, ...this.#services]);
    rmSync(`${UNITS}/${this.name}@.service`, { force: true });
  }

  get #services(): string[] {
    return Array.from({ length: this.size }, (_, index) => `${this.name}@${index + 1}.service`);
  }
}

/** supervisord with a socket that it makes and shares among its processes, as their standard input. */
export class Supervisord extends Named {
  readonly notices = ['kill'] as const;

  get title(): string {
    return `supervisord, socket shared, numprocs=${this.size}`;
  }

  async start(): Promise<void> {
    const file = `${DIRECTORY}/${this.name}.conf`;
    const lines = [
      '[supervisord]',
      'nodaemon=true',
      'logfile=/dev/null',
      'logfile_maxbytes=0',
      `pidfile=${DIRECTORY}/${this.name}.pid`,
      `[fcgi-program:${this.name}]`,
      `command=${STEADY} ${this.name} stdin`,
      `socket=tcp://127.0.0.1:${this.port}`,
      `numprocs=${this.size}`,
      'process_name=%(program_name)s-%(process_num)d',
      'autorestart=true',
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const service = ['[Service]', `ExecStart=/usr/bin/supervisord -c ${file}`];
    await startUnits({ [this.#service]: service }, this.#service);
  }

  remove(): Promise<void> {
    return stopUnits([this.#service]);
  }

  get #service(): string {
    return `${this.name}.service`;
  }
}

/** runit: the program makes its own socket, since runsv has none to give. */
export class Runit extends Named {
  readonly title = 'runit';
  readonly notices = ['kill'] as const;

  async start(): Promise<void> {
    const directory = `${DIRECTORY}/${this.name}`;
    mkdirSync(`${directory}/server`, { recursive: true });
    writeFileSync(`${directory}/server/run`, `#!/bin/sh\nexec ${STEADY} ${this.name} ${this.port}\n`, { mode: 0o755 });
    const service = ['[Service]', `ExecStart=/usr/bin/runsvdir -P ${directory}`];
    await startUnits({ [this.#service]: service }, this.#service);
  }

  async remove(): Promise<void> {
    await stopUnits([this.#service]);
    rmSync(`${DIRECTORY}/${this.name}`, { recursive: true, force: true });
  }

  get #service(): string {
    return `${this.name}.service`;
  }
}

/** PM2: any program in fork mode; in cluster mode several of Node.js behind a socket that its daemon has. */
export class Pm2 extends Named {
  readonly notices = ['kill'] as const;

  get title(): string {
    return this.size === 1 ? 'PM2, fork mode' : `PM2, cluster mode, ${this.size} of Node.js`;
  }

  async start(): Promise<void> {
    const file = `${DIRECTORY}/${this.name}.json`;
    const program =
      this.size === 1
        ? { script: STEADY, args: [this.name, String(this.port)], interpreter: 'none', exec_mode: 'fork' }
        : { script: this.#script, args: [String(this.port)], exec_mode: 'cluster', instances: this.size };
    writeFileSync(this.#script, `require('${BENCH_DIRECTORY}/steady.js');\n`);
    writeFileSync(file, JSON.stringify({ apps: [{ name: this.name, max_restarts: 1e6, ...program }] }));
    const service = [
      '[Service]',
      'Type=forking',
      // On an emulated machine it takes minutes.
      'TimeoutStartSec=5min',
      `Environment=PM2_HOME=${DIRECTORY}/${this.name}-home PM2_DISABLE_VERSION_CHECK=true`,
      `ExecStart=/usr/bin/node ${BENCH_DIRECTORY}/pm2/node_modules/pm2/bin/pm2 start ${file}`,
    ];
    await startUnits({ [this.#service]: service }, this.#service);
  }

  remove(): Promise<void> {
    return stopUnits([this.#service]);
  }

  override pids(): number[] {
    return pidsWith(this.size === 1 ? this.name : this.#script);
  }

  /** PM2 shows its path instead of the command line. */
  get #script(): string {
    return `${DIRECTORY}/${this.name}.js`;
  }

  get #service(): string {
    return `${this.name}.service`;
  }
}

/** Podman with a restart policy and a health check; on the host's network, since a lab machine has no other. */
export class Podman extends Named {
  readonly notices = ['kill', 'loop', 'stop', 'oom'] as const;
  readonly title = 'Podman, --restart=always, health check';
  readonly #limits: readonly string[];
  /** Each check is a process, which takes an emulated machine more than a second, and a killed check is a failed one. */
  readonly #checkTimeout: string;

  /** @param limited whether the machine has the controllers; without them the runtime must not touch cgroups */
  constructor(name: string, port: number, limited: boolean) {
    super(name, port, 1);
    this.#checkTimeout = limited ? '5s' : '1s';
    this.#limits = limited ? ['--memory=64m'] : ['--cgroups=disabled'];
  }

  async start(): Promise<void> {
    const root = `${DIRECTORY}/${this.name}/bin`;
    mkdirSync(root, { recursive: true });
    await must('cp', STEADY, `${root}/steady`);
    const health = [
      '--health-cmd',
      JSON.stringify(['/bin/steady', 'check', String(this.port)]),
      '--health-interval=1s',
      `--health-timeout=${this.#checkTimeout}`,
      `--health-retries=${WATCHDOG_S}`,
      '--health-on-failure=restart',
      '--stop-timeout=0',
    ];
    const command = ['--rootfs', `${DIRECTORY}/${this.name}`, '/bin/steady', this.name, String(this.port)];
    await must(
      'podman',
      'run',
      '--detach',
      '--name',
      this.name,
      '--restart=always',
      '--network=host',
      ...this.#limits,
      ...health,
      ...command,
    );
  }

  async remove(): Promise<void> {
    await run('podman', 'rm', '--force', '--time', '0', this.name);
    rmSync(`${DIRECTORY}/${this.name}`, { recursive: true, force: true });
  }

  /** conmon and podman have the name on their command lines, too. */
  override pids(): number[] {
    return super.pids().filter((pid) => processName(pid) === 'steady');
  }
}
