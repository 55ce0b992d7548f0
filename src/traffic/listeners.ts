import { chownSync, closeSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { Failure } from '../base/failure.ts';
import type { Listen } from '../declare/declaration.ts';
import { makeDirectory, removeFile } from '../kernel/files.ts';
import { groupId, userId } from '../kernel/identities.ts';
import { duplicate, isListening, listenTcp, listenUnix, SystemCallFailure, wakeWaiters } from '../kernel/native.ts';
import { isListenerKeyOf } from '../plan/listener-key.ts';
import type { PlannedListener } from '../plan/plan.ts';

/** Keeps copies of descriptors over a restart of the supervisor; systemd's fd store is one. */
export interface DescriptorStore {
  store(name: string, fd: number): void;
  remove(name: string): void;
}

interface Kept {
  readonly fd: number;
  readonly listen: Listen;
}

/** How a listener's place in the store is told from other descriptors there. */
export const LISTENER_PREFIX = 'listen.';

/**
 * All listening sockets of all plugins. The supervisor makes them, never accepts from them, and closes one only when
 * its plugin is stopped; sandboxes get copies. A copy in the fd store keeps each open while the supervisor is away.
 */
export class Listeners {
  readonly #store: DescriptorStore;
  readonly #kept = new Map<string, Kept>();
  readonly #inherited: Map<string, number>;

  /** @param inherited descriptors that came back from the store, by listener key. */
  constructor(store: DescriptorStore, inherited: ReadonlyMap<string, number>) {
    this.#store = store;
    this.#inherited = new Map(inherited);
  }

  /**
   * Makes the plugin's sockets that are missing, and closes those that are not planned any more. On an error none is
   * there that was not there before.
   * Throws BH206 when an address is taken, BH207 when it cannot be bound.
   */
  async ensure(plugin: string, planned: readonly PlannedListener[]): Promise<void> {
    const made: string[] = [];
    try {
      for (const { key, listen } of planned) {
        if (this.#kept.has(key)) continue;
        const inherited = this.#takeInherited(key);
        const fd = inherited ?? (await this.#make(listen));
        this.#kept.set(key, { fd, listen });
        if (inherited === undefined) {
          made.push(key);
          this.#store.store(`${LISTENER_PREFIX}${key}`, fd);
        }
      }
    } catch (error) {
      this.#close(made);
      throw error;
    }
    const wanted = new Set(planned.map(({ key }) => key));
    this.#close(this.#keysOf(plugin).filter((key) => !wanted.has(key)));
  }

  /** Whoever waits for its connections looks again, in case that one was told to somebody who is dead. */
  wake(key: string): void {
    const kept = this.#kept.get(key);
    if (kept !== undefined) wakeWaiters(kept.fd);
  }

  /** Closes all sockets of the plugin and removes their files. */
  closeAll(plugin: string): void {
    this.#close(this.#keysOf(plugin));
  }

  #keysOf(plugin: string): string[] {
    return [...this.#kept.keys()].filter((key) => isListenerKeyOf(plugin, key));
  }

  #close(keys: Iterable<string>): void {
    for (const key of keys) {
      const kept = this.#kept.get(key);
      if (kept === undefined) continue;
      this.#kept.delete(key);
      this.#store.remove(`${LISTENER_PREFIX}${key}`);
      closeSync(kept.fd);
      if (kept.listen.kind === 'unix') removeFile(kept.listen.path);
    }
  }

  /** Closes what came back from the store and is not among these keys; returns the keys of what it closed. */
  closeInheritedBut(wanted: ReadonlySet<string>): string[] {
    const strays = [...this.#inherited].filter(([key]) => !wanted.has(key));
    for (const [key, fd] of strays) {
      this.#inherited.delete(key);
      this.#store.remove(`${LISTENER_PREFIX}${key}`);
      closeSync(fd);
    }
    return strays.map(([key]) => key);
  }

  /** A copy to give away; the taker closes it. Throws BH302 for a key that is not kept. */
  copy(key: string): number {
    const kept = this.#kept.get(key);
    if (kept === undefined) throw new Failure('BH302', `no listening socket '${key}'`);
    return duplicate(kept.fd);
  }

  /** The socket's own descriptor, to be looked at only; undefined for a key that is not kept. */
  descriptor(key: string): number | undefined {
    return this.#kept.get(key)?.fd;
  }

  has(key: string): boolean {
    return this.#kept.has(key);
  }

  #takeInherited(key: string): number | undefined {
    const fd = this.#inherited.get(key);
    this.#inherited.delete(key);
    if (fd === undefined) return undefined;
    if (isListening(fd)) return fd;
    closeSync(fd);
    return undefined;
  }

  async #make(listen: Listen): Promise<number> {
    try {
      if (listen.kind === 'tcp') {
        // SO_REUSEPORT from the start, because all members of a group must have it (socket(7)): an upgrade adds one.
        return listenTcp({ host: listen.host, port: listen.port, backlog: listen.backlog, reusePort: true });
      }
      return await this.#makeUnix(listen);
    } catch (error) {
      if (!(error instanceof SystemCallFailure)) throw error;
      const code = error.errnoName === 'EADDRINUSE' ? 'BH206' : 'BH207';
      throw new Failure(code, error.message, { cause: error });
    }
  }

  async #makeUnix(listen: Extract<Listen, { kind: 'unix' }>): Promise<number> {
    const { path, user, group, backlog, mode } = listen;
    const [uid, gid] = await Promise.all([userId(user), groupId(group)]);
    makeDirectory(dirname(path), 0o755);
    const before = statSync(path, { throwIfNoEntry: false });
    if (before !== undefined && !before.isSocket()) throw new Failure('BH206', `'${path}' exists and is not a socket`);
    if (before !== undefined && (await accepts(path))) throw new Failure('BH206', `'${path}': a program listens there`);
    // A socket file that nobody listens at is left over from a crash.
    removeFile(path);
    const fd = listenUnix({ path, backlog, mode });
    chownSync(path, uid, gid);
    return fd;
  }
}

/** Whether somebody listens at the path. */
function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
