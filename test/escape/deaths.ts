import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { EventRecord } from '../../src/control/api.ts';
import { until } from '../support/system.ts';

/** Why sandboxes died, as the supervisor tells whoever listens. */
export class Deaths {
  readonly #follower: ChildProcess;
  readonly #texts = new Map<string, string>();

  private constructor(follower: ChildProcess) {
    this.#follower = follower;
    if (follower.stdout === null) throw new Error('no output of bulkheadctl');
    createInterface({ input: follower.stdout }).on('line', (line) => {
      const { kind, unit, text } = JSON.parse(line) as EventRecord;
      if (kind === 'died' && unit !== null) this.#texts.set(unit, text);
    });
  }

  static follow(plugin: string): Deaths {
    const words = ['events', plugin, '--follow', '--json'];
    return new Deaths(spawn('bulkheadctl', words, { stdio: ['ignore', 'pipe', 'inherit'] }));
  }

  /** The text about the sandbox with this name, once it is there. */
  async of(sandbox: string): Promise<string> {
    const find = () => [...this.#texts].find(([unit]) => unit.startsWith(`plugin-${sandbox}.`))?.[1];
    await until(`the death of '${sandbox}' is told`, () => find() !== undefined);
    return find() ?? '';
  }

  stop(): void {
    this.#follower.kill();
  }
}
