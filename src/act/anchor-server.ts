import { chownSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import type { AnchorWord } from '../decide/order.ts';
import { whyNotPluginName } from '../declare/plugin-name.ts';
import { unitOfProcess } from '../kernel/cgroup.ts';
import { removeFile } from '../kernel/files.ts';
import { listenUnix, peerCredentials } from '../kernel/native.ts';
import { parseAnchorUnit } from '../plan/identity.ts';
import { rawDescriptor } from '../sandbox/launch-server.ts';
import { LineSplitter } from '../sandbox/line-splitter.ts';

/** What anchors say. */
export interface AnchorEvents {
  /** The invocation of the anchor that wants the plugin, as far as it is known. */
  invocation(plugin: string): string | undefined;
  hello(plugin: string, invocation: string): void;
  stop(plugin: string): void;
  reload(plugin: string): void;
  refused(why: Failure): void;
}

const LONGEST_LINE = 256;
const BACKLOG = 1024;

/** The last words for a plugin, told again to an anchor that connects anew. */
interface LastWords {
  status: string | undefined;
  final: string | undefined;
}

/** Talks with the anchors: see "Anchor" in docs/internals.md. */
export class AnchorServer implements Owned {
  readonly #events: AnchorEvents;
  readonly #sockets = new Map<string, Socket>();
  readonly #said = new Map<string, LastWords>();
  readonly #server = createServer((socket) => this.#accept(socket));

  constructor(events: AnchorEvents) {
    this.#events = events;
  }

  /**
   * Accepts anchors from now on: not before what runs was taken over, since an anchor of a plugin that is not known
   * yet would look like a new start.
   *
   * @param group gid whose members may connect: the anchors' own.
   */
  listen(path: string, group: number): void {
    removeFile(path);
    const fd = listenUnix({ path, backlog: BACKLOG, mode: 0o660 });
    chownSync(path, 0, group);
    this.#server.on('error', (error) => this.#events.refused(asFailure(error)));
    this.#server.listen({ fd });
  }

  tell(plugin: string, word: AnchorWord): void {
    const said = this.#said.get(plugin) ?? { status: undefined, final: undefined };
    this.#said.set(plugin, said);
    const line = lineOf(word);
    if (word.word === 'status') said.status = line;
    else said.final = line;
    this.#sockets.get(plugin)?.write(line);
  }

  release(): void {
    this.#server.close();
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    let plugin: string;
    try {
      plugin = pluginOfPeer(socket);
    } catch (error) {
      const failure = asFailure(error);
      this.#events.refused(failure);
      // An anchor that only loses its connection tries again for ever, and its start would go on as long.
      if (failure.code === 'BH109') socket.end(`failed ${failure.code} ${oneLine(failure.message)}\n`);
      else socket.destroy();
      return;
    }
    const lines = new LineSplitter(LONGEST_LINE);
    socket.on('data', (chunk: Buffer) => {
      const complete = lines.push(chunk);
      if (complete === undefined) socket.destroy();
      for (const line of complete ?? []) this.#line(socket, plugin, line);
    });
    socket.on('close', () => {
      if (this.#sockets.get(plugin) === socket) this.#sockets.delete(plugin);
    });
  }

  #line(socket: Socket, plugin: string, line: string): void {
    const hello = /^hello 1 ([0-9a-f]{32})$/.exec(line)?.[1];
    if (hello !== undefined) {
      this.#sockets.set(plugin, socket);
      // What was said to an anchor before this one counts no more.
      if (this.#events.invocation(plugin) !== hello) this.#said.delete(plugin);
      this.#repeat(plugin, socket);
      this.#events.hello(plugin, hello);
    } else if (line === 'stop') this.#events.stop(plugin);
    else if (line === 'reload') this.#events.reload(plugin);
    else {
      this.#events.refused(new Failure('BH405', `the anchor of '${plugin}' said something unknown`));
      socket.destroy();
    }
  }

  /** What was said while it was not connected. Saying it twice does no harm. */
  #repeat(plugin: string, socket: Socket): void {
    const said = this.#said.get(plugin);
    for (const words of [said?.status, said?.final]) if (words !== undefined) socket.write(words);
  }
}

/** Who the anchor is follows from its cgroup, not from its words. */
function pluginOfPeer(socket: Socket): string {
  const { pid } = peerCredentials(rawDescriptor(socket));
  const unit = unitOfProcess(pid);
  const plugin = unit === undefined ? undefined : parseAnchorUnit(unit);
  if (plugin !== undefined) return plugin;
  const name = /^plugin@(.*)\.service$/.exec(unit ?? '')?.[1];
  if (name === undefined) throw new Failure('BH403', `process ${pid} in '${unit ?? 'no unit'}' is no anchor`);
  throw new Failure('BH109', `'${name}' cannot be a plugin: ${whyNotPluginName(name) ?? 'it is none'}`);
}

function lineOf(word: AnchorWord): string {
  switch (word.word) {
    case 'status':
      return `status ${oneLine(word.text)}\n`;
    case 'failed':
      return `failed ${word.reason.code} ${oneLine(word.reason.text)}\n`;
    case 'ready':
    case 'stopped':
      return `${word.word}\n`;
  }
}

function oneLine(text: string): string {
  return text.replaceAll('\n', ' ').slice(0, 1500);
}
