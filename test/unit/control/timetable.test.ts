import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { LiveConfiguration } from '../../../src/act/live-configuration.ts';
import { Owner } from '../../../src/base/owner.ts';
import { Timetable } from '../../../src/control/timetable.ts';
import type { Observation } from '../../../src/decide/observation.ts';
import { initialState } from '../../../src/decide/plugin-state.ts';
import { type Configuration, DEFAULT_CONFIGURATION } from '../../../src/declare/configuration.ts';
import { examplePlan } from '../../support/plans.ts';

const EVERY_SECOND = '* * * * * *';

describe('Timetable', function () {
  this.timeout(20_000);
  let wanted: Configuration;
  let configuration: LiveConfiguration;
  let seen: (Observation & { readonly plugin: string })[];
  let cleaned: number;
  let timetable: Timetable;

  beforeEach(() => {
    wanted = DEFAULT_CONFIGURATION;
    configuration = new LiveConfiguration({
      load: () => ({ files: [], problems: [], configuration: wanted }),
      refused: () => {},
    });
    seen = [];
    cleaned = 0;
    timetable = new Timetable({
      configuration,
      observe: (plugin, observation) => seen.push({ plugin, ...observation }),
      cleanUpIncidents: () => cleaned++,
    });
  });

  afterEach(() => {
    timetable.release();
    assert.ok(!Owner.living().some((name) => name.startsWith('timetable')));
  });

  const within = async (holds: () => boolean): Promise<void> => {
    for (const end = Date.now() + 8000; !holds() && Date.now() < end; ) await pause(50);
    assert.ok(holds());
  };

  it('asks for what a plugin that runs has scheduled, as long as it runs', async () => {
    const plan = examplePlan();
    const declaration = { ...plan.declaration, schedule: [{ action: 'recycle', cron: EVERY_SECOND } as const] };
    const off = { ...initialState('hello'), plan: { ...plan, declaration } };
    timetable.follow(off);
    await pause(1500);
    assert.deepEqual(seen, []);
    timetable.follow({ ...off, phase: 'on' });
    await within(() => seen.length > 0);
    assert.deepEqual(seen[0], { plugin: 'hello', kind: 'recycle-asked', by: `the schedule '${EVERY_SECOND}'` });
    timetable.follow({ ...off, phase: 'stopping' });
    const count = seen.length;
    await pause(1500);
    assert.equal(seen.length, count);
  });

  it('cleans incidents up when the configuration says so now', async () => {
    await pause(1500);
    assert.equal(cleaned, 0);
    wanted = { ...wanted, incidents: { ...wanted.incidents, cleanUp: EVERY_SECOND } };
    configuration.reload();
    await within(() => cleaned > 0);
    wanted = DEFAULT_CONFIGURATION;
    configuration.reload();
    const count = cleaned;
    await pause(1500);
    assert.equal(cleaned, count);
  });
});
