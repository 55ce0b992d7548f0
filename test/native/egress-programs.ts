import { spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenTcp, sendWithFds, socketAddress } from '../../src/kernel/native.ts';
import { descriptorOf } from './descriptor-of.ts';
import { program, Running } from './native-programs.ts';

export const UID = 1_073_742_826;

/** plugin-egress as it would run beside a sandbox; this test is init. */
export class Egress {
  readonly running: Running;
  readonly control: Socket;
  /** What it said over the control socket. */
  said = '';
  readonly ports: readonly number[];
  readonly #server: Server;
  readonly #directory: string;

  private constructor(running: Running, control: Socket, ports: number[], server: Server, directory: string) {
    this.running = running;
    this.control = control;
    this.ports = ports;
    this.#server = server;
    this.#directory = directory;
    control.on('data', (chunk: Buffer) => {
      this.said += chunk.toString();
    });
    control.on('error', () => {});
  }

  /**
   * @param files what it finds as /etc/hosts and /etc/resolv.conf
   * @param listeners what it gets instead of one listening socket for each endpoint, and the line with them
   */
  static async start(
    endpoints: readonly string[],
    given: {
      readonly connections?: number;
      readonly files?: { readonly hosts: string; readonly resolv: string };
      readonly listeners?: readonly number[];
      readonly line?: string;
    } = {},
  ): Promise<Egress> {
    const directory = mkdtempSync(join(tmpdir(), 'bulkhead-egress-'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(directory, 'control'), resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const theirs = connect(join(directory, 'control'));
    const control = await accepted;
    const { hosts = '', resolv = '' } = given.files ?? {};
    writeFileSync(join(directory, 'hosts'), hosts);
    writeFileSync(join(directory, 'resolv'), resolv);
    const script = 'mount --bind "$0/hosts" /etc/hosts; mount --bind "$0/resolv" /etc/resolv.conf; exec "$@"';
    const options = [`--uid=${UID}`, `--connections=${given.connections ?? 100}`];
    const child = spawn(
      'unshare',
      [
        '--mount',
        '--propagation',
        'private',
        'bash',
        '-c',
        script,
        directory,
        program('plugin-egress'),
        ...options,
        ...endpoints,
      ],
      { stdio: ['ignore', 'pipe', 'pipe', theirs], env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin' } },
    );
    theirs.destroy();
    const listeners =
      given.listeners ?? endpoints.map(() => listenTcp({ host: '127.0.0.1', port: 0, backlog: 512, reusePort: false }));
    const ports = given.listeners === undefined ? listeners.map(portOfListener) : [];
    const egress = new Egress(new Running(child, undefined), control, ports, server, directory);
    if (given.line !== '')
      sendWithFds(descriptorOf(control), Buffer.from(given.line ?? `listeners ${listeners.length}\n`), listeners);
    // As init does: a copy would keep them open.
    if (given.listeners === undefined) for (const fd of listeners) closeSync(fd);
    return egress;
  }

  /** Changes what it finds from now on. */
  write(file: 'hosts' | 'resolv', text: string): void {
    writeFileSync(join(this.#directory, file), text);
  }

  async ready(): Promise<this> {
    await this.running.until('ready', () => this.said === 'ready\n', 10_000);
    return this;
  }

  async stop(): Promise<number> {
    this.control.destroy();
    const timer = setTimeout(() => this.running.kill(), 5000);
    const code = await this.running.ended;
    clearTimeout(timer);
    this.#server.close();
    rmSync(this.#directory, { recursive: true });
    return code;
  }
}

function portOfListener(fd: number): number {
  const address = socketAddress(fd);
  return address.family === 'unix' ? 0 : address.port;
}

/** Sends all, ends, and gives back all that came; `reset` when the connection broke. */
export function exchange(port: number, bytes: Buffer, host = '127.0.0.1'): Promise<Buffer | 'reset'> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('connect', () => socket.end(bytes));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => resolve(Buffer.concat(chunks)));
    socket.on('error', () => resolve('reset'));
  });
}

/** Says what it hears, and END when the other side has ended. */
export function echoServer(): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => socket.write(chunk));
    socket.on('end', () => socket.end('END'));
  });
}

export async function portOf(server: Server, host = '127.0.0.1'): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return (server.address() as { port: number }).port;
}

/** A name server at 127.0.0.153 that answers with what it is told to. */
export class FakeNameServer {
  readonly #socket: UdpSocket = createSocket('udp4');
  asked = 0;

  constructor(answer: (question: Buffer) => readonly Buffer[]) {
    this.#socket.on('message', (question, peer) => {
      this.asked += 1;
      for (const message of answer(question)) this.#socket.send(message, peer.port, peer.address);
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#socket.bind(53, '127.0.0.153', resolve));
    return this;
  }

  stop(): void {
    this.#socket.close();
  }
}

/** An answer with these addresses (IPv4, in bytes), as a server would give it, and with what is wrong on purpose. */
export function answerTo(
  question: Buffer,
  addresses: readonly (readonly number[])[],
  wrong: { readonly flags?: number; readonly id?: number; readonly count?: number } = {},
): Buffer {
  let end = 12;
  while ((question[end] ?? 0) !== 0) end += (question[end] ?? 0) + 1;
  end += 5;
  const type = question.readUInt16BE(end - 4);
  const header = Buffer.from(question.subarray(0, 12));
  if (wrong.id !== undefined) header.writeUInt16BE(wrong.id, 0);
  header.writeUInt16BE(wrong.flags ?? 0x8180, 2);
  const given = type === 1 ? addresses : [];
  header.writeUInt16BE(wrong.count ?? given.length, 6);
  header.writeUInt16BE(0, 10);
  const records = given.map((bytes) => Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 1, 0, bytes.length, ...bytes]));
  return Buffer.concat([header, question.subarray(12, end), ...records]);
}
