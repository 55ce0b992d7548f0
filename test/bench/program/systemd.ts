import { existsSync, writeFileSync } from 'node:fs';
import { Failure } from '../../../src/base/failure.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { PRIVATE_SOCKET, systemBusSockets } from '../../../src/systemd/address.ts';
import { Manager } from '../../../src/systemd/manager.ts';
import type { Property } from '../../../src/systemd/properties.ts';
import { pause } from '../../support/load.ts';
import { until } from '../../support/system.ts';
import { processesBelow } from './processes.ts';

/**
 * Units in which the same payloads run without bulkhead. They are driven over the same connection to systemd that the
 * supervisor uses, so that the client's own cost is the same on both sides.
 */
export class Systemd {
  readonly #manager: Manager;

  constructor() {
    this.#manager = new Manager({
      clock: systemClock,
      onDefect: (thrown) => console.error(thrown),
      privateSocket: PRIVATE_SOCKET,
      busSockets: systemBusSockets(process.env),
    });
    this.#manager.start();
  }

  release(): void {
    this.#manager.release();
  }

  /** Resolves when the start job is done. */
  async start(unit: string): Promise<void> {
    const result = await this.#manager.startUnit(unit);
    if (result !== 'done') throw new Error(`start of ${unit}: ${result}`);
  }

  async stop(unit: string): Promise<void> {
    try {
      await this.#manager.stopUnit(unit);
    } catch (error) {
      if (!(error instanceof Failure) || error.dbusName !== 'org.freedesktop.systemd1.NoSuchUnit') throw error;
    }
  }

  async startTransient(unit: TransientService): Promise<void> {
    const result = await this.#manager.startTransientUnit(unit.name, unit.properties);
    if (result !== 'done') throw new Error(`start of ${unit.name}: ${result}`);
  }

  /** Resolves when the unit's cgroup is gone. */
  async gone(unit: string): Promise<void> {
    await until(`the end of ${unit}`, () => !existsSync(`/sys/fs/cgroup${cgroupOf(unit)}`));
    await pause(5); // systemd notices a moment later
  }

  /**
   * Ends the payload of an nspawn unit, and waits until nspawn has cleaned up after it. nspawn itself is not killed:
   * it would leave a mount behind. As PID 1 the payload would ignore SIGTERM.
   */
  async endPayload(unit: string): Promise<void> {
    writeFileSync(`/sys/fs/cgroup${cgroupOf(unit)}/payload/cgroup.kill`, '1');
    await this.gone(unit);
  }

  /** Pid of the unit's only process. */
  mainPid(unit: string): number | undefined {
    return processesBelow(cgroupOf(unit))[0]?.pid;
  }
}

export interface TransientService {
  readonly name: string;
  readonly properties: readonly Property[];
}

/** The service as `systemd-run` would make it: no isolation, started when the program is executed. */
export function plainService(name: string, command: readonly string[]): TransientService {
  return { name, properties: [['Type', 's', 'exec'], ...common(command)] };
}

/**
 * systemd-nspawn around the program itself, which is PID 1 then: no launcher, no init, no filter of ours.
 *
 * @param own whether nspawn's own filter is loaded
 */
export function nspawnService(name: string, command: readonly string[], own: boolean): TransientService {
  return {
    name,
    properties: [
      ['Type', 's', 'notify'],
      ['NotifyAccess', 's', 'main'],
      ['KillMode', 's', 'mixed'],
      ['Delegate', 'b', true],
      ['Environment', 'as', ['SYSTEMD_NSPAWN_TMPFS_TMP=0', ...(own ? [] : ['SYSTEMD_SECCOMP=0'])]],
      ...common(command),
    ],
  };
}

function common(command: readonly string[]): Property[] {
  return [
    ['ExecStart', 'a(sasb)', [[command[0], [...command], false]]],
    ['CollectMode', 's', 'inactive-or-failed'],
    ['StandardInput', 's', 'null'],
    ['StandardOutput', 's', 'journal'],
  ];
}

function cgroupOf(unit: string): string {
  return `/system.slice/${unit}`;
}
