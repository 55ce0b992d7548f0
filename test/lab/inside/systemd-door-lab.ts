import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Owner } from '../../../src/base/owner.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { PRIVATE_SOCKET, SYSTEM_BUS_SOCKET } from '../../../src/systemd/address.ts';
import { Bus } from '../../../src/systemd/bus.ts';
import { Manager } from '../../../src/systemd/manager.ts';
import type { Property } from '../../../src/systemd/properties.ts';

const execute = promisify(execFile);

/** Runs a command and returns its output; throws on another status than 0. */
export async function run(file: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execute(file, args, { encoding: 'utf8' });
  return stdout;
}

/** Runs one of the misdeeds of systemd-door-hostile.ts as the user nobody. */
export async function asNobody(...args: readonly string[]): Promise<string> {
  const program = fileURLToPath(new URL('./systemd-door-hostile.js', import.meta.url));
  const { stdout } = await execute(process.execPath, [program, ...args], { encoding: 'utf8', uid: 65534, gid: 65534 });
  return stdout;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 10_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
}

/** Everything that a test makes; release() also proves that nothing is left. */
export class Scene {
  readonly defects: unknown[] = [];
  readonly #made: { release(): void }[] = [];
  readonly #units: string[] = [];

  readonly onDefect = (thrown: unknown): void => {
    this.defects.push(thrown);
  };

  keep<T extends { release(): void }>(made: T): T {
    this.#made.push(made);
    return made;
  }

  bus(maxIncomingBytes?: number): Bus {
    const limit = maxIncomingBytes === undefined ? {} : { maxIncomingBytes };
    const options = { name: 'test bus', sockets: [SYSTEM_BUS_SOCKET], kind: 'bus' as const, clock: systemClock };
    return this.keep(new Bus({ ...options, onDefect: this.onDefect, ...limit }));
  }

  manager(privateSocket: string | undefined = PRIVATE_SOCKET): Manager {
    return this.keep(
      new Manager({ clock: systemClock, onDefect: this.onDefect, privateSocket, busSockets: [SYSTEM_BUS_SOCKET] }),
    );
  }

  /** A manager that has only the system bus. */
  busManager(): Manager {
    const options = { clock: systemClock, onDefect: this.onDefect, busSockets: [SYSTEM_BUS_SOCKET] };
    return this.keep(new Manager({ ...options, privateSocket: undefined }));
  }

  /** A unit name of this test; the unit is stopped at its end. */
  unit(name: string): string {
    const unit = `${name}.service`;
    this.#units.push(unit);
    return unit;
  }

  async release(): Promise<void> {
    for (const made of this.#made.reverse()) made.release();
    await execute('systemctl', ['stop', '--quiet', 'none.target', ...this.#units]).catch(() => undefined);
    await execute('systemctl', ['reset-failed']).catch(() => undefined);
    if (this.defects.length > 0) throw new AggregateError(this.defects, 'defects were reported');
    const living = Owner.living();
    if (living.length > 0) throw new Error(`left behind: ${living.join(', ')}`);
  }
}

export function command(...words: readonly string[]): Property {
  return ['ExecStart', 'a(sasb)', [[words[0], words, false]]];
}

export const SLEEPER: readonly Property[] = [
  ['Type', 's', 'exec'],
  ['CollectMode', 's', 'inactive-or-failed'],
  command('/usr/bin/sleep', '1000'),
];
