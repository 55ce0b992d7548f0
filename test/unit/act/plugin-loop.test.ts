import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { Hands } from '../../../src/act/plugin-loop.ts';
import { PluginLoop } from '../../../src/act/plugin-loop.ts';
import { Failure } from '../../../src/base/failure.ts';
import { initialState, readyOnes } from '../../../src/decide/plugin-state.ts';
import { examplePlan } from '../../support/plans.ts';

/** Hands that do nothing but say in which sequence they were asked to. */
function scene(size: number, standby = 0): { loop: PluginLoop; did: string[] } {
  const did: string[] = [];
  const note = async (text: string): Promise<void> => {
    did.push(text);
  };
  const plan = examplePlan({ size, standby, restarts: 100 });
  const hands: Hands = {
    clock: { now: () => 1000, after: () => ({ release() {} }) },
    random: () => 0.5,
    wall: () => 0,
    riskyAllowed: () => true,
    unkillableRoom: () => 3,
    load: async () => ({ plan, declared: 'v1', failed: [] }),
    prepare: () => note('prepare'),
    retire: () => {},
    startSandbox: (_, { generation }) => note(`start ${generation}`),
    limitSandbox: () => note('limit'),
    stopSandbox: (unit) => note(`stop ${unit}`),
    killSandbox: () => Promise.reject(new Failure('BH601', 'no')),
    freezeSandbox: (unit) => note(`freeze ${unit}`),
    gateSandbox: (unit, gate) => note(`gate ${unit} ${gate}`),
    crashed: (_, { generation }) => void note(`crashed ${generation}`),
    openIncident: ({ id }) => void note(`incident ${id}`),
    incidentStep: () => {},
    incidentOver: () => {},
    run: async () => ({ status: 0, text: '' }),
    forgetRun: async () => {},
    planVersion: async () => ({ plan, declared: 'v1' }),
    verify: () => note('verify').then(() => undefined),
    weigh: (_, live, weight) => note(`weigh ${live} ${weight}`),
    recordUpgrade: (_, { kind }) => note(kind),
    switchVersion: () => note('switch'),
    signalSandbox: (unit, signal) => note(`signal ${unit} ${signal}`),
    clearSandbox: (unit) => note(`clear ${unit}`),
    forgetSandbox: () => {},
    tell: () => {},
    note: () => {},
    save: () => void note('save'),
    refused: (_, { kind }, { code }) => void note(`refused ${kind} ${code}`),
  };
  return { loop: new PluginLoop(initialState('hello'), hands), did };
}

async function running(size: number, standby = 0): Promise<ReturnType<typeof scene>> {
  const made = scene(size, standby);
  made.loop.observe({ kind: 'wanted', invocation: 'i1', automatic: false });
  for (let n = 0; n < 4; n++) await setImmediate();
  for (const unit of made.loop.state.sandboxes.keys()) made.loop.observe({ kind: 'became-ready', unit });
  await setImmediate();
  assert.equal(readyOnes(made.loop.state).length, size);
  made.did.length = 0;
  return made;
}

const exited = (unit: string) => ({ kind: 'exited', unit, exit: { how: 'killed', status: 9 } }) as const;

describe('PluginLoop', () => {
  it('decides the first observation at once, and what comes with it together', async () => {
    const { loop, did } = await running(16);
    const units = [...loop.state.sandboxes.keys()];
    for (const unit of units) loop.observe(exited(unit));
    assert.equal(did.filter((text) => text === 'save').length, 1);
    assert.equal(readyOnes(loop.state).length, 15);
    await setImmediate();
    assert.equal(did.filter((text) => text === 'save').length, 2);
    assert.equal(did.filter((text) => text.startsWith('start')).length, 16);
    assert.equal(did.filter((text) => text.startsWith('clear')).length, 16);
    assert.equal(did.filter((text) => text.startsWith('incident')).length, 1);
  });

  it('writes before it acts, and lets connections through before all else', async () => {
    const { loop, did } = await running(1, 1);
    loop.observe(exited('plugin-hello-a-g1.service'));
    assert.deepEqual(
      did.map((text) => text.replace(/ \d{8}T.*/, '')),
      [
        'save',
        'gate plugin-hello-a-g2.service open',
        'crashed 1',
        'incident',
        'clear plugin-hello-a-g1.service',
        'start 3',
      ],
    );
  });

  it('does not let counters that come with a death take the turn before it', async () => {
    const { loop, did } = await running(1);
    const unit = 'plugin-hello-a-g1.service';
    const { counters } = loop.state.sandboxes.get(unit) ?? {};
    assert.ok(counters !== undefined);
    loop.observe({ kind: 'counted', unit, counters: { ...counters, oomKills: 1, oom: 1 } });
    assert.deepEqual(did, []);
    loop.observe(exited(unit));
    assert.equal(loop.state.open[0]?.incident.verdict.class, 'oom');
  });

  it('answers at once who asks for something, whatever else waits', async () => {
    const { loop } = await running(2);
    for (const unit of loop.state.sandboxes.keys()) loop.observe(exited(unit));
    loop.observe({ kind: 'unwanted' });
    assert.equal(loop.state.phase, 'stopping');
  });

  it('says when an order could not be carried out', async () => {
    const { loop, did } = await running(1);
    const verdict = {
      class: 'hang',
      kind: 'blocked',
      confidence: 1,
      text: 'x',
      evidence: [],
      excuses: [],
      traceIds: [],
    };
    loop.observe({ kind: 'diagnosed', unit: 'plugin-hello-a-g1.service', verdict: { ...verdict, class: 'hang' } });
    await setImmediate();
    assert.ok(did.includes('refused kill BH601'), did.join('\n'));
  });

  it('decides nothing any more when it was given up', async () => {
    const { loop, did } = await running(2);
    for (const unit of loop.state.sandboxes.keys()) loop.observe(exited(unit));
    did.length = 0;
    loop.release();
    await setImmediate();
    loop.observe({ kind: 'unwanted' });
    assert.deepEqual(did, []);
  });
});
