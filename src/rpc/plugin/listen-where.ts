import { lstatSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname, extname, resolve } from 'node:path';

/** The descriptor in LISTEN_FDNAMES that is the call socket of this sandbox. */
const RPC_NAME = 'rpc';
const FIRST_FD = 3;
/** sun_path of unix(7). */
const LONGEST_PATH_BYTES = 107;
/** Files of programs that say nothing of what they are for: the directory does then. */
const PLAIN_NAMES = ['main', 'index', 'plugin', 'server', 'app'];

export type Where = { readonly fd: number } | { readonly path: string };

/**
 * Where a plugin is to serve: on the descriptor that it was given (sd_listen_fds(3)), at $BULKHEAD_RPC_SOCKET, or, when it was
 * started by hand, in the current directory.
 * @throws Error in a sandbox whose declaration has no `rpc`.
 */
export function listenWhere(environment: NodeJS.ProcessEnv, program: string | undefined): Where {
  const fd = inheritedFd(environment);
  if (fd !== undefined) return { fd };
  const path = environment.BULKHEAD_RPC_SOCKET;
  if (path !== undefined && path !== '') return { path: checkPath(path) };
  if (environment.BULKHEAD_SANDBOX !== undefined)
    throw new Error("no call socket was handed in; the declaration of the plugin needs 'rpc: {}'");
  return { path: checkPath(`./${nameByHand(environment, program)}.sock`) };
}

function inheritedFd(environment: NodeJS.ProcessEnv): number | undefined {
  const { LISTEN_FDS: count, LISTEN_FDNAMES: names, LISTEN_PID: pid } = environment;
  if (count === undefined || !/^[0-9]{1,4}$/.test(count)) return undefined;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  // One that has no name can only be meant for this.
  if (names === undefined) return Number(count) === 1 ? FIRST_FD : undefined;
  const index = names.split(':').indexOf(RPC_NAME);
  return index >= 0 && index < Number(count) ? FIRST_FD + index : undefined;
}

/** What the plugin is called when nobody says. */
export function nameByHand(environment: NodeJS.ProcessEnv, program: string | undefined): string {
  const named = environment.BULKHEAD_PLUGIN;
  if (named !== undefined && /^[\w.-]+$/.test(named)) return named;
  if (program === undefined) return 'plugin';
  const file = basename(program, extname(program));
  const name = PLAIN_NAMES.includes(file) ? basename(dirname(resolve(program))) : file;
  return name === '' ? 'plugin' : name;
}

function checkPath(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes > LONGEST_PATH_BYTES)
    throw new Error(`'${path}' has ${bytes} bytes, and a socket's path can have ${LONGEST_PATH_BYTES}`);
  return path;
}

/**
 * Removes the socket that a dead process has left.
 * @throws Error when somebody serves there, or it is not a socket.
 */
export async function clearPath(path: string): Promise<void> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there === undefined) return;
  if (!there.isSocket()) throw new Error(`'${path}' is in the way, and not a socket`);
  const served = await new Promise<boolean>((tell) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      tell(true);
    });
    socket.on('error', () => tell(false));
  });
  if (served) throw new Error(`somebody serves at '${path}' already`);
  unlinkSync(path);
}
