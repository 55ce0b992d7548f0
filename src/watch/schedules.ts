import type { Owned } from '../base/clock.ts';
import type { Scheduled } from '../declare/recovery.ts';

export interface ScheduleDoors {
  /** Calls at the times of an expression until it is released. */
  atTimes(cron: string, run: () => void): Owned;
  due(plugin: string, scheduled: Scheduled): void;
}

interface Armed {
  readonly schedule: readonly Scheduled[];
  readonly timers: readonly Owned[];
}

/** What is to be done for plugins at certain times, as their declarations say it now. */
export class Schedules implements Owned {
  readonly #doors: ScheduleDoors;
  readonly #armed = new Map<string, Armed>();

  constructor(doors: ScheduleDoors) {
    this.#doors = doors;
  }

  /** What holds for the plugin from now on; said again and again it changes nothing. */
  keep(plugin: string, schedule: readonly Scheduled[]): void {
    const before = this.#armed.get(plugin);
    if (before?.schedule === schedule || JSON.stringify(before?.schedule ?? []) === JSON.stringify(schedule)) return;
    for (const timer of before?.timers ?? []) timer.release();
    this.#armed.delete(plugin);
    if (schedule.length === 0) return;
    const timers = schedule.map((each) => this.#doors.atTimes(each.cron, () => this.#doors.due(plugin, each)));
    this.#armed.set(plugin, { schedule, timers });
  }

  release(): void {
    for (const { timers } of this.#armed.values()) for (const timer of timers) timer.release();
    this.#armed.clear();
  }
}
