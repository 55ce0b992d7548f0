import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { pause } from '../../support/load.ts';
import { must, run, systemctl, until } from '../../support/system.ts';
import { BENCH_DIRECTORY } from './plugin.ts';

const UNITS = '/run/systemd/system';
const DIRECTORY = '/run/bulkhead-bench';

/** Somebody who serves on 0.0.0.0:port, and can change what serves while it does. */
export interface Upgrader {
  readonly title: string;
  readonly port: number;
  install(): Promise<void>;
  /** Resolves when all is new, as far as that can be told from outside. */
  upgrade(): Promise<void>;
  remove(): Promise<void>;
}

/** A service of systemd that runs in the foreground, or with others that belong to it. */
abstract class Service implements Upgrader {
  abstract readonly title: string;
  readonly name: string;
  readonly port: number;

  constructor(name: string, port: number) {
    this.name = name;
    this.port = port;
  }

  abstract units(): Readonly<Record<string, readonly string[]>>;
  abstract upgrade(): Promise<void>;

  async install(): Promise<void> {
    mkdirSync(UNITS, { recursive: true });
    mkdirSync(DIRECTORY, { recursive: true });
    const units = Object.entries(this.units());
    for (const [name, lines] of units) writeFileSync(`${UNITS}/${name}`, `${lines.join('\n')}\n`);
    await systemctl('daemon-reload');
    await systemctl('start', ...units.map(([name]) => name));
    const answers = async () => (await run('curl', '-sf', `http://127.0.0.1:${this.port}/`)).status === 0;
    await until(`${this.title} answers`, answers, 60_000);
  }

  async remove(): Promise<void> {
    const names = Object.keys(this.units());
    await run('systemctl', 'stop', ...names);
    for (const name of names) rmSync(`${UNITS}/${name}`, { force: true });
    await systemctl('daemon-reload');
  }

  get service(): string {
    return `${this.name}.service`;
  }

  file(suffix: string): string {
    return `${DIRECTORY}/${this.name}${suffix}`;
  }

  async mainPid(): Promise<number> {
    return Number((await systemctl('show', '-P', 'MainPID', this.service)).trim());
  }
}

/**
 * The server of our examples behind a socket unit. Nobody serves until it has ended, so it has only a second to drain:
 * connections that rest are not waited for.
 */
export class SocketActivated extends Service {
  readonly title = 'systemd, socket unit, restart';

  units(): Readonly<Record<string, readonly string[]>> {
    const service = ['[Service]', `ExecStart=${BENCH_DIRECTORY}/server`, 'TimeoutStopSec=1'];
    const socket = ['[Socket]', `ListenStream=0.0.0.0:${this.port}`, 'Backlog=4096'];
    return { [`${this.name}.socket`]: socket, [this.service]: service };
  }

  async upgrade(): Promise<void> {
    await systemctl('restart', this.service);
  }
}

abstract class Nginx extends Service {
  units(): Readonly<Record<string, readonly string[]>> {
    const configuration = this.file('.conf');
    const lines = [
      'worker_processes 2;',
      `pid ${this.pidFile};`,
      'error_log /dev/null;',
      'events { worker_connections 4096; }',
      'http {',
      '  access_log off;',
      '  keepalive_requests 100000000;',
      `  server { listen 0.0.0.0:${this.port} backlog=4096; location / { return 200 "hello\\n"; } }`,
      '}',
    ];
    mkdirSync(DIRECTORY, { recursive: true });
    writeFileSync(configuration, `${lines.join('\n')}\n`);
    const command = `/usr/sbin/nginx -c ${configuration}`;
    return { [this.service]: ['[Service]', 'Type=forking', `PIDFile=${this.pidFile}`, `ExecStart=${command}`] };
  }

  get pidFile(): string {
    return this.file('.pid');
  }

  pid(suffix = ''): number {
    return Number(readFileSync(`${this.pidFile}${suffix}`, 'utf8'));
  }

  workers(master: number): Promise<string> {
    return must('sh', '-c', `pgrep -P ${master} | sort -n | tr '\\n' ' '`);
  }
}

export class NginxReload extends Nginx {
  readonly title = 'nginx, reload';

  async upgrade(): Promise<void> {
    const before = new Set((await this.workers(this.pid())).split(' '));
    process.kill(this.pid(), 'SIGHUP');
    const isOver = async () =>
      !(await this.workers(this.pid())).split(' ').some((pid) => pid !== '' && before.has(pid));
    await until('the old workers of nginx are gone', isOver, 30_000);
  }
}

/** As its manual says: USR2 starts the new one, WINCH ends the workers of the old one, QUIT itself. */
export class NginxBinary extends Nginx {
  readonly title = 'nginx, binary upgrade';

  async upgrade(): Promise<void> {
    const old = this.pid();
    process.kill(old, 'SIGUSR2');
    const isThere = async () => {
      try {
        return this.pid() !== old && (await this.workers(this.pid())).trim().split(' ').length === 2;
      } catch {
        return false; // the file is being renamed
      }
    };
    await until('the new nginx', isThere, 30_000);
    process.kill(old, 'SIGWINCH');
    await pause(200);
    process.kill(old, 'SIGQUIT');
    await until('the old nginx is gone', async () => (await run('kill', '-0', String(old))).status !== 0, 30_000);
  }
}

export class HaproxyReload extends Service {
  readonly title = 'HAProxy -W, reload';

  units(): Readonly<Record<string, readonly string[]>> {
    const configuration = this.file('.cfg');
    const lines = [
      'global',
      '  nbthread 2',
      'defaults',
      '  mode http',
      '  timeout client 60s',
      '  timeout http-keep-alive 60s',
      'frontend bench',
      `  bind 0.0.0.0:${this.port} backlog 4096`,
      '  http-request return status 200 content-type text/plain string "hello\\n"',
    ];
    mkdirSync(DIRECTORY, { recursive: true });
    writeFileSync(configuration, `${lines.join('\n')}\n`);
    return { [this.service]: ['[Service]', 'Type=notify', `ExecStart=/usr/sbin/haproxy -Ws -f ${configuration}`] };
  }

  async upgrade(): Promise<void> {
    const master = await this.mainPid();
    const before = (await must('pgrep', '-P', String(master))).trim().split('\n');
    process.kill(master, 'SIGUSR2');
    const isOver = async () => {
      const now = (await run('pgrep', '-P', String(master))).stdout.trim().split('\n');
      return now[0] !== '' && !now.some((pid) => before.includes(pid));
    };
    await until('the old worker of HAProxy is gone', isOver, 30_000);
  }
}

export class GunicornHup extends Service {
  readonly title = 'gunicorn, HUP';

  units(): Readonly<Record<string, readonly string[]>> {
    const words = [
      `--chdir ${BENCH_DIRECTORY} --bind 0.0.0.0:${this.port} --backlog 4096`,
      '--worker-class gthread --workers 2 --threads 64 --keep-alive 75 application:application',
    ];
    return { [this.service]: ['[Service]', `ExecStart=/usr/bin/gunicorn ${words.join(' ')}`] };
  }

  async upgrade(): Promise<void> {
    const master = await this.mainPid();
    const before = (await must('pgrep', '-P', String(master))).trim().split('\n');
    process.kill(master, 'SIGHUP');
    const isOver = async () =>
      !(await run('pgrep', '-P', String(master))).stdout.split('\n').some((pid) => before.includes(pid));
    await until('the old workers of gunicorn are gone', isOver, 60_000);
  }
}

export class Pm2Reload extends Service {
  readonly title = 'PM2 cluster, reload';

  units(): Readonly<Record<string, readonly string[]>> {
    const file = this.file('.json');
    const application = {
      name: this.name,
      script: `${BENCH_DIRECTORY}/application.js`,
      args: [String(this.port)],
      exec_mode: 'cluster',
      instances: 2,
      wait_ready: true,
      kill_timeout: 5000,
    };
    mkdirSync(DIRECTORY, { recursive: true });
    writeFileSync(file, JSON.stringify({ apps: [application] }));
    return {
      [this.service]: [
        '[Service]',
        'Type=forking',
        `Environment=${this.#environment.join(' ')}`,
        `ExecStart=${this.#pm2} start ${file}`,
      ],
    };
  }

  async upgrade(): Promise<void> {
    await must('env', ...this.#environment, ...this.#pm2.split(' '), 'reload', this.name);
  }

  get #pm2(): string {
    return `/usr/bin/node ${BENCH_DIRECTORY}/pm2/node_modules/pm2/bin/pm2`;
  }

  get #environment(): readonly string[] {
    return [`PM2_HOME=${this.file('-home')}`, 'PM2_DISABLE_VERSION_CHECK=true'];
  }
}
