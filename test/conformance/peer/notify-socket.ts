import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Node.js has no datagram sockets of Unix: a few lines of Python listen, and print what they are told. */
const PROGRAM = `
import socket, sys
it = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
it.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(it.recv(4096).decode(), flush=True)
`;

/** A socket for sd_notify(3), as a service manager has it. */
export class NotifySocket {
  readonly path: string;
  readonly #directory: string;
  readonly #child: ChildProcess;
  #heard = '';

  private constructor() {
    this.#directory = mkdtempSync(join(tmpdir(), 'bulkhead-notify-'));
    this.path = join(this.#directory, 'notify');
    this.#child = spawn('python3', ['-c', PROGRAM, this.path], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child.stdout?.on('data', (bytes: Buffer) => {
      this.#heard += bytes.toString();
    });
  }

  static async open(): Promise<NotifySocket> {
    const socket = new NotifySocket();
    assert.ok(socket.#child.stdout !== null);
    await once(socket.#child.stdout, 'data');
    return socket;
  }

  async until(pattern: RegExp, ms = 20_000): Promise<void> {
    const end = performance.now() + ms;
    while (!pattern.test(this.#heard)) {
      assert.ok(performance.now() < end, `waited for ${pattern}, heard: ${this.#heard}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  close(): void {
    this.#child.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
