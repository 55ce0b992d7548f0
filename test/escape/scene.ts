import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { SandboxStatus } from '../../src/control/api.ts';
import { declare, installExample, systemctl, uninstall, until, untilWhole } from '../support/system.ts';
import type { Kind } from './kind.ts';

export const PROGRAM = fileURLToPath(new URL('../../../native/test/hostile', import.meta.url));
export const NEIGHBOUR = 'neighbour';
const NEIGHBOUR_PORT = 9391;
const HOST_PORT = 9392;
/** Readable by everybody on the host. */
export const SECRET = '/run/hostile-secret';
export const HOST_SOCKET = '/run/hostile-host.sock';

/** Everything around the hostile plugin: what it goes for, and what it may use against us. */
export interface Scene {
  readonly kind: Kind;
  /** The hostile plugin's name and socket. */
  readonly plugin: string;
  readonly socket: string;
  /** Its version's directory on the host. */
  readonly version: string;
  readonly neighbour: SandboxStatus & { readonly port: number; readonly socket: string };
  readonly host: {
    readonly pid: number;
    readonly port: number;
    readonly socket: string;
    /** What the holder made: name and value. */
    readonly held: ReadonlyMap<string, string>;
  };
  /** The sandbox that runs now. */
  own(): Promise<SandboxStatus>;
  /** Starts the plugin anew, with its version as it was. */
  again(): Promise<SandboxStatus>;
  end(): Promise<void>;
}

/** Sets the scene for one kind of isolation, and starts the hostile plugin. What was begun is undone when it fails. */
export async function setScene(kind: Kind, more: readonly string[] = []): Promise<Scene> {
  const undo: (() => void | Promise<void>)[] = [];
  const end = async () => {
    for (const step of undo.reverse()) await step();
  };
  try {
    return await begin(kind, more, undo, end);
  } catch (thrown) {
    await end();
    throw thrown;
  }
}

async function begin(
  kind: Kind,
  more: readonly string[],
  undo: (() => void | Promise<void>)[],
  end: () => Promise<void>,
): Promise<Scene> {
  const plugin = `hostile${kind}`;
  const version = `/opt/plugin/${plugin}/v1`;
  undo.push(() => rmSync(SECRET, { force: true }));
  undo.push(() =>
    until('what was mounted for the plugins is let go', () =>
      [plugin, NEIGHBOUR].every((name) => !existsSync(`/run/bulkhead/activity/${name}`)),
    ),
  );
  writeFileSync(SECRET, 'the secret of the host\n');
  chmodSync(SECRET, 0o644);
  for (const address of [{ port: HOST_PORT, host: '127.0.0.1' }, { path: HOST_SOCKET }]) {
    const server = await listening(address);
    undo.push(() => new Promise<void>((resolve) => server.close(() => resolve())));
  }
  chmodSync(HOST_SOCKET, 0o666);
  // Numbers that no process in a sandbox has by chance.
  writeFileSync('/proc/sys/kernel/ns_last_pid', '30000');
  const holder = await Holder.start();
  undo.push(() => holder.stop());
  undo.push(() => uninstall(NEIGHBOUR));
  const neighbour = await startNeighbour();

  const own = async () => {
    const [sandbox] = await untilWhole(plugin, 1);
    if (sandbox === undefined) throw new Error(`'${plugin}' has no sandbox`);
    return sandbox;
  };

  undo.push(() => uninstall(plugin));
  installVersion(version, neighbour.uidBase);
  declare(plugin, [...DECLARATION(plugin, kind), ...more]);
  await systemctl('start', `plugin@${plugin}`);

  return {
    kind,
    plugin,
    socket: `/run/plugin/${plugin}.sock`,
    version,
    neighbour: { ...neighbour, port: NEIGHBOUR_PORT, socket: `/run/plugin/${NEIGHBOUR}.sock` },
    host: { pid: holder.pid, port: HOST_PORT, socket: HOST_SOCKET, held: holder.held },
    own,
    again: async () => {
      await systemctl('stop', `plugin@${plugin}`);
      installVersion(version, neighbour.uidBase);
      // Not waited for here, since it may be broken in such a way that it never starts.
      await systemctl('start', '--no-block', `plugin@${plugin}`);
      return own();
    },
    end,
  };
}

/** Its deaths are the test's, so they cost neither budget nor time. */
const DECLARATION = (plugin: string, kind: Kind) => [
  'template: native',
  'version: v1',
  `listen: [{ unix: /run/plugin/${plugin}.sock, name: talk }]`,
  'environment: { COLOUR: blue }',
  'limits: { files: 256, memory: 64M, tasks: 40 }',
  'view: { tmp: 8M }',
  `isolation: ${kind}`,
  'stop: { timeout: 1s }',
  'recovery:',
  '  budget: { restarts: 1000, within: 1s }',
  '  backoff: { initial: 10ms, max: 10ms, factor: 1, jitter: 0% }',
  '  forbidden-syscall: [replace]',
  '  forbidden-exec: [replace]',
];

async function startNeighbour(): Promise<SandboxStatus> {
  installExample(NEIGHBOUR, 'c', [
    'template: native',
    'version: v1',
    `listen: [{ tcp: 127.0.0.1:${NEIGHBOUR_PORT}, name: web }, { unix: /run/plugin/${NEIGHBOUR}.sock, name: side, mode: "0666" }]`,
    'environment: { PASSWORD: "secret of the neighbour" }',
  ]);
  await systemctl('start', `plugin@${NEIGHBOUR}`);
  const [neighbour] = await untilWhole(NEIGHBOUR, 1);
  if (neighbour === undefined) throw new Error('the neighbour does not run');
  return neighbour;
}

/** The version's directory, with whatever a hostile author may put there. */
function installVersion(version: string, neighboursUids: number): void {
  rmSync(version, { recursive: true, force: true });
  mkdirSync(`${version}/open`, { recursive: true });
  chmodSync(version, 0o755);
  chmodSync(`${version}/open`, 0o777);
  cpSync(PROGRAM, `${version}/main`);
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, `${version}/${name}`);
  own(`${version}/of-host-user`, HOST_USER);
  own(`${version}/of-neighbour`, neighboursUids + 1000);
  own(`${version}/of-host-root`, 0);
  writeFileSync(`${version}/open/file`, 'as it was\n');
  chmodSync(`${version}/open/file`, 0o666);
}

/** A payload whose user namespace began with the first user of the host would be this one. */
const HOST_USER = 1001;

/** Where links of a version lead on the host. */
export const LINKS: Readonly<Record<string, string>> = {
  'to-shadow': '/etc/shadow',
  'to-secret': SECRET,
  'to-climb': `${'../'.repeat(20)}run/hostile-secret`,
  'to-proc': '/proc/1/root/run/hostile-secret',
};

function own(path: string, id: number): void {
  writeFileSync(path, 'of somebody else\n', { mode: 0o600 });
  chmodSync(path, 0o600);
  chownSync(path, id, id);
}

async function listening(address: { port: number; host: string } | { path: string }): Promise<Server> {
  if ('path' in address && existsSync(address.path)) rmSync(address.path);
  const server = createServer((connection) => {
    // Whoever connects may be killed at once.
    connection.on('error', () => undefined);
    connection.end('here is the host\n');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, resolve);
  });
  return server;
}

/** The process that has one of everything; see `program/holder.c`. */
class Holder {
  readonly #process: ChildProcess;
  readonly held = new Map<string, string>();

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  static async start(): Promise<Holder> {
    const child = spawn(PROGRAM, ['hold'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const holder = new Holder(child);
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'held') return holder;
      const [name = '', value = ''] = line.split(' ');
      holder.held.set(name, value);
    }
    throw new Error('the holder ended');
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.on('exit', resolve));
    this.#process.stdin?.end();
    await ended;
  }
}
