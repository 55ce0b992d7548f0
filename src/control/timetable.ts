import type { LiveConfiguration } from '../act/live-configuration.ts';
import type { Owned } from '../base/clock.ts';
import { Owner } from '../base/owner.ts';
import type { Observation } from '../decide/observation.ts';
import type { PluginState } from '../decide/plugin-state.ts';
import { atTimes } from '../watch/schedule.ts';
import { Schedules } from '../watch/schedules.ts';

export interface TimetableParts {
  readonly configuration: LiveConfiguration;
  observe(plugin: string, seen: Observation): void;
  cleanUpIncidents(): void;
}

/** All that happens by the clock on the wall: what declarations have scheduled, and the cleaning up of incidents. */
export class Timetable implements Owned {
  readonly #owner = new Owner('timetable');
  readonly #schedules: Schedules;

  constructor({ configuration, observe, cleanUpIncidents }: TimetableParts) {
    const due = (plugin: string, { cron }: { readonly cron: string }) =>
      observe(plugin, { kind: 'recycle-asked', by: `the schedule '${cron}'` });
    this.#schedules = this.#owner.own(new Schedules({ atTimes, due }));
    let cleaning: Owned | undefined;
    configuration.follow(({ incidents: { cleanUp } }) => {
      if (cleaning !== undefined) this.#owner.drop(cleaning);
      cleaning = this.#owner.own(atTimes(cleanUp, cleanUpIncidents));
    });
  }

  /** A plugin has come to this state. Only one that runs has something scheduled. */
  follow({ plugin, phase, plan }: PluginState): void {
    this.#schedules.keep(plugin, phase === 'on' ? (plan?.declaration.schedule ?? []) : []);
  }

  release(): void {
    this.#owner.release();
  }
}
