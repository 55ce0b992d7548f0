import { chmodSync, chownSync, statSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { CallDiscovery } from '../act/daemon-hands.ts';
import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { discovered, nextScore } from '../decide/discovered.ts';
import type { Crash } from '../decide/order.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import type { RpcAccess } from '../declare/declaration.ts';
import { makeDirectory, namesIn, removeFile } from '../kernel/files.ts';
import { groupId, userId } from '../kernel/identities.ts';
import { listenUnix } from '../kernel/native.ts';
import type { HostPaths } from '../plan/plan.ts';
import { discoveryDirectory, discoverySocket, rpcSocket } from '../plan/rpc.ts';

/** Clients of a plugin at a time; one more is cut off. */
const MOST_CLIENTS = 256;
/** Bytes that may wait for a client that does not read; ten times the longest line. */
const MOST_WAITING = 512 * 1024;
/** All of them may come at once, after a restart of the supervisor. */
const BACKLOG = 2 * MOST_CLIENTS;
/** Whoever connects is told of the last so many deaths, if they are no older (ms): he may have lost his connection by them. */
const MOST_REMEMBERED = 16;
const REMEMBERED_MS = 30_000;
/** A client that does not read its last line is cut off after so long. */
const CLOSING_MS = 1000;
/** Of a text of a death, characters. */
const LONGEST_TEXT = 512;

export interface DiscoveryParts {
  readonly clock: Clock;
  readonly paths: HostPaths;
  readonly state: (plugin: string) => PluginState;
  /** What changes nothing, for the journal. */
  readonly ignored: (text: string, failure: Failure) => void;
}

interface Death {
  readonly at: number;
  readonly line: string;
}

interface Served {
  readonly server: Server;
  readonly clients: Set<Socket>;
  /** What all clients were told last. */
  told: string;
  /** When a score changes by itself. */
  timer: Owned | undefined;
}

/** Tells whoever may call a plugin which sandboxes it has, and which of them died; docs/protocol.md, "Where to connect". */
export class Discovery implements CallDiscovery, Owned {
  readonly #parts: DiscoveryParts;
  readonly #served = new Map<string, Served>();
  /** Of each plugin; also before it is served, when a new supervisor finds what happened while there was none. */
  readonly #deaths = new Map<string, readonly Death[]>();

  constructor(parts: DiscoveryParts) {
    this.#parts = parts;
  }

  /** Serves the plugin with this access, or not any more. Throws BH317. */
  async ensure(plugin: string, access: RpcAccess | undefined): Promise<void> {
    if (access === undefined) return this.close(plugin);
    const path = discoverySocket(plugin, this.#parts.paths);
    try {
      const [uid, gid] = await Promise.all([userId(access.user), groupId(access.group)]);
      if (!this.#served.has(plugin)) this.#serve(plugin, path);
      // Closed to all between the two: there is no moment at which somebody may connect who is not to.
      const is = statSync(path);
      if (is.uid !== uid || is.gid !== gid) {
        chmodSync(path, 0);
        chownSync(path, uid, gid);
      }
      chmodSync(path, access.mode);
    } catch (error) {
      throw new Failure('BH317', `'${path}': ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }

  /** Something was decided about the plugin: clients are told before anything of it is carried out. */
  follow(state: PluginState): void {
    const served = this.#served.get(state.plugin);
    if (served === undefined) return;
    const line = this.#line(state);
    this.#wakeFor(state, served);
    if (line === served.told) return;
    served.told = line;
    tell(served, line);
  }

  crashed(plugin: string, { generation, class: name, text, incident }: Crash): void {
    const crash = { generation, class: name, text: text.slice(0, LONGEST_TEXT), incident };
    const line = `${JSON.stringify({ crash })}\n`;
    const deaths = [...this.#recent(plugin), { at: this.#parts.clock.now(), line }];
    this.#deaths.set(plugin, deaths.slice(-MOST_REMEMBERED));
    const served = this.#served.get(plugin);
    if (served !== undefined) tell(served, line);
  }

  /** Nobody can connect any more; whoever is there has read what was told. */
  close(plugin: string): void {
    this.#deaths.delete(plugin);
    const served = this.#served.get(plugin);
    if (served === undefined) return;
    this.#served.delete(plugin);
    served.timer?.release();
    served.server.close();
    for (const client of served.clients) client.end().setTimeout(CLOSING_MS, () => client.destroy());
    removeFile(discoverySocket(plugin, this.#parts.paths));
  }

  /** Removes what an earlier supervisor left of plugins that are not among these. */
  sweep(plugins: ReadonlySet<string>): void {
    const { paths } = this.#parts;
    for (const plugin of namesIn(discoveryDirectory(paths), ''))
      if (!plugins.has(plugin)) removeFile(discoverySocket(plugin, paths));
  }

  /** How many clients follow it; undefined for a plugin that is not served. */
  clients(plugin: string): number | undefined {
    return this.#served.get(plugin)?.clients.size;
  }

  /** The paths stay: the next supervisor takes them over. */
  release(): void {
    for (const { server, clients, timer } of this.#served.values()) {
      timer?.release();
      server.close();
      for (const client of clients) client.destroy();
    }
    this.#served.clear();
  }

  #serve(plugin: string, path: string): void {
    makeDirectory(discoveryDirectory(this.#parts.paths), 0o755);
    removeFile(path);
    const fd = listenUnix({ path, backlog: BACKLOG, mode: 0o600 });
    const server = createServer((socket) => this.#accept(plugin, socket));
    server.on('error', (error) => this.#parts.ignored(`discovery of '${plugin}' failed, ignoring`, asFailure(error)));
    server.listen({ fd });
    this.#served.set(plugin, { server, clients: new Set(), told: '', timer: undefined });
    this.follow(this.#parts.state(plugin));
  }

  #accept(plugin: string, socket: Socket): void {
    const served = this.#served.get(plugin);
    socket.on('error', () => socket.destroy());
    if (served === undefined || served.clients.size >= MOST_CLIENTS) return void socket.destroy();
    served.clients.add(socket);
    socket.on('close', () => served.clients.delete(socket));
    // Clients have nothing to say; who says something is none.
    socket.on('data', () => socket.destroy());
    socket.write([served.told, ...this.#recent(plugin).map(({ line }) => line)].join(''));
  }

  #recent(plugin: string): readonly Death[] {
    const since = this.#parts.clock.now() - REMEMBERED_MS;
    return (this.#deaths.get(plugin) ?? []).filter(({ at }) => at >= since);
  }

  #line(state: PluginState): string {
    const { clock, paths } = this.#parts;
    const { plugin } = state;
    const sandboxes = discovered(state, clock.now()).map((sandbox) => ({
      ...sandbox,
      socket: rpcSocket(plugin, sandbox.generation, paths),
    }));
    return `${JSON.stringify({ discovery: 1, plugin, sandboxes })}\n`;
  }

  #wakeFor(state: PluginState, served: Served): void {
    const { clock } = this.#parts;
    served.timer?.release();
    const at = nextScore(state, clock.now());
    served.timer =
      at === undefined
        ? undefined
        : clock.after(at - clock.now() + 1, () => this.follow(this.#parts.state(state.plugin)));
  }
}

/** To all that still read. */
function tell({ clients }: Served, line: string): void {
  for (const client of clients) {
    if (client.writableLength + line.length > MOST_WAITING) client.destroy();
    else client.write(line);
  }
}
