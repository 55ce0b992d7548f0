import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Failure } from '../../../src/base/failure.ts';
import { coreName } from '../../../src/record/evidence-gatherer.ts';
import { type IncidentScene, Incidents, type IncidentsParts } from '../../../src/record/incidents.ts';
import { isIncidentId, parseStoredIncident } from '../../../src/record/stored-incident.ts';
import { exampleIncident, INCIDENT_AT } from '../../support/incidents.ts';
import { ManualClock, until } from '../systemd/fake-peer.ts';

const BOOT = '0123456789abcdef0123456789abcdef';
const NOWHERE: IncidentScene = {
  place: { cgroup: '/no/such/group', payloadCgroup: '/no/such/group/payload', activityPage: undefined },
  uids: { base: 655_360, count: 65_536 },
  coreLimit: 0,
};

describe('incidents on disk', () => {
  let root = '';
  let clock = new ManualClock();
  let wall = INCIDENT_AT;
  let odd: string[] = [];
  const stores: Incidents[] = [];

  beforeEach(() => {
    root = mkdtempSync(`${tmpdir()}/bulkhead-incidents-`);
    clock = new ManualClock();
    wall = INCIDENT_AT;
    odd = [];
  });
  afterEach(() => {
    for (const store of stores.splice(0)) store.release();
    rmSync(root, { recursive: true });
  });

  function store(also: Partial<IncidentsParts> = {}): Incidents {
    // What is under way when a test ends is nothing of the next one's.
    const own = odd;
    const made = new Incidents({
      directory: `${root}/incidents`,
      clock,
      wall: () => wall,
      tailOf: async () => ['the last words'],
      cores: `${root}/cores`,
      retention: () => ({ keepMs: 1e12, bytes: 1e12 }),
      ignored: (text: string, failure: Failure) => own.push(`${text}: ${failure.message}`),
      ...also,
    });
    stores.push(made);
    return made;
  }

  const text = (id: string, file: string) => readFileSync(`${root}/incidents/${id}/${file}`, 'utf8');
  const incident = exampleIncident();
  const whole = (from: Incidents, id = incident.id) =>
    until(`'${id}' is whole`, () => {
      clock.advance(1000);
      return from.read(id)?.stored.evidence === 'whole';
    });

  it('are there as soon as they are opened, for root alone', () => {
    store().open(incident, NOWHERE);
    assert.deepEqual(parseStoredIncident(text(incident.id, 'incident.json'))?.incident, incident);
    assert.equal(statSync(`${root}/incidents`).mode & 0o777, 0o700);
    assert.equal(statSync(`${root}/incidents/${incident.id}/incident.json`).mode & 0o777, 0o600);
  });

  it('get the evidence that takes longer afterwards, and name what could not be had', async () => {
    const incidents = store();
    incidents.open(incident, NOWHERE);
    assert.equal(incidents.read(incident.id)?.stored.evidence, 'gathering');
    await whole(incidents);
    assert.equal(text(incident.id, 'journal.txt'), 'the last words\n');
    assert.deepEqual(incidents.read(incident.id)?.stored.missing, [
      'tasks, descriptors and counters: nothing lived any more',
      'requests: the program writes no activity page',
    ]);
    assert.deepEqual(
      incidents.read(incident.id)?.files.map(({ name }) => name),
      ['incident.json', 'journal.txt'],
    );
  });

  it('have the requests that a dead sandbox took along', () => {
    const page = Buffer.alloc(65_536);
    page.write('BKACT001');
    page.writeUInt32LE(1, 8);
    page.writeUInt32LE(1, 64 + 4);
    page.fill(0xab, 64 + 32, 64 + 48);
    writeFileSync(`${root}/page`, page);
    const death = exampleIncident(3);
    const opened = store().open(
      { ...death, verdict: { ...death.verdict, traceIds: [] } },
      { ...NOWHERE, place: { ...NOWHERE.place, activityPage: `${root}/page` } },
    );
    assert.deepEqual(opened?.verdict.traceIds, ['ab'.repeat(16)]);
    assert.deepEqual(
      parseStoredIncident(text(death.id, 'incident.json'))?.incident.verdict.traceIds,
      opened?.verdict.traceIds,
    );
  });

  it('take steps and an end, the first end for good', async () => {
    const incidents = store();
    incidents.open(incident, NOWHERE);
    wall += 40;
    incidents.step(incident.id, 'g2 is ready');
    wall += 2;
    incidents.over(incident.id, 'recovered after 42 ms');
    incidents.over(incident.id, 'again');
    const stored = parseStoredIncident(text(incident.id, 'incident.json'));
    assert.deepEqual(stored?.steps, [{ at: INCIDENT_AT + 40, text: 'g2 is ready' }]);
    assert.deepEqual(stored?.over, { at: INCIDENT_AT + 42, text: 'recovered after 42 ms' });
    const [summary] = await incidents.list('hello', 10);
    assert.equal(summary?.over?.text, 'recovered after 42 ms');
    assert.deepEqual(await incidents.list('other', 10), []);
  });

  it('are not opened a second time by an order that is repeated', () => {
    const incidents = store();
    incidents.open(incident, NOWHERE);
    incidents.step(incident.id, 'something');
    incidents.open(incident, NOWHERE);
    store().open(incident, NOWHERE);
    assert.equal(parseStoredIncident(text(incident.id, 'incident.json'))?.steps.length, 1);
  });

  it('that a killed supervisor left half written are finished by the next', async () => {
    store().open(incident, NOWHERE);
    const open = exampleIncident(2);
    store().open(open, NOWHERE);
    for (const killed of stores) killed.release();
    mkdirSync(`${root}/incidents/${exampleIncident(3).id}`);
    writeFileSync(`${root}/incidents/${exampleIncident(3).id}/tasks.json`, '{');
    mkdirSync(`${root}/incidents/of-somebody-else`);

    const next = store();
    next.begin((id) => id === open.id);
    // It waits until all that earlier ones left has been looked through.
    await next.list('hello', 10);
    await whole(next);
    await whole(next, open.id);
    assert.match(next.read(incident.id)?.stored.over?.text ?? '', /supervisor was away/);
    assert.equal(next.read(open.id)?.stored.over, null);
    assert.deepEqual(next.read(incident.id)?.stored.missing, [
      'tasks, descriptors and counters: they were not looked at in time',
      'requests: the program writes no activity page',
    ]);
    assert.equal(next.read(exampleIncident(3).id), undefined);
    assert.ok(!existsSync(`${root}/incidents/${exampleIncident(3).id}`));
    assert.ok(existsSync(`${root}/incidents/of-somebody-else`));
    assert.deepEqual(odd, []);
  });

  it('of a storm are small, and all there', async () => {
    const incidents = store();
    const all = Array.from({ length: 500 }, (_, index) => exampleIncident(index + 1));
    for (const each of all) incidents.open(each, NOWHERE);
    assert.equal((await incidents.list(undefined, 1000)).length, 500);
    const full = all.filter(({ id }) => incidents.read(id)?.stored.evidence === 'gathering');
    assert.ok(full.length > 0 && full.length <= 64, `${full.length} are gathered for`);
    const last = incidents.read(all.at(-1)?.id ?? '');
    assert.match(last?.stored.missing[0] ?? '', /too many incidents at once/);
    assert.deepEqual(
      last?.files.map(({ name }) => name),
      ['incident.json'],
    );
  });

  it('go when they are too old, and take their directory along', async () => {
    const incidents = store({ retention: () => ({ keepMs: 60_000, bytes: 1e12 }) });
    incidents.open(incident, NOWHERE);
    await whole(incidents);
    wall += 60_001;
    incidents.open(exampleIncident(2, { at: wall }), NOWHERE);
    await until('it is removed', () => {
      clock.advance(1000);
      return !existsSync(`${root}/incidents/${incident.id}`);
    });
    assert.equal((await incidents.list(undefined, 10)).length, 1);
  });

  it('have the core dump, under a name that says whose it is', async () => {
    const crash = exampleIncident(7, {}, 'crash');
    const incidents = store();
    incidents.open(crash, { ...NOWHERE, coreLimit: 'infinity' });
    clock.advance(1000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    mkdirSync(`${root}/cores`);
    writeFileSync(`${root}/cores/core.main.656360.${BOOT}.42.${INCIDENT_AT}000.zst`, 'memory');
    await whole(incidents, crash.id);
    const name = 'core.hello.v1.0123456789abcdef0123456789abcdef.42.zst';
    assert.equal(text(crash.id, name), 'memory');
    assert.equal(coreName(crash, 42, '.zst'), name);
  });

  it('say that there is no core dump when none comes', async () => {
    const crash = exampleIncident(7, {}, 'crash');
    const incidents = store();
    incidents.open(crash, { ...NOWHERE, coreLimit: 'infinity' });
    await whole(incidents, crash.id);
    assert.ok(incidents.read(crash.id)?.stored.missing.includes('core dump: systemd-coredump has none'));
  });

  it('that cannot be written keep nobody from going on', async () => {
    const incidents = store();
    rmSync(`${root}/incidents`, { recursive: true });
    writeFileSync(`${root}/incidents`, 'a file in the way');
    incidents.open(incident, NOWHERE);
    incidents.over(incident.id, 'recovered');
    assert.equal((await incidents.list('hello', 1))[0]?.over?.text, 'recovered');
    assert.match(odd[0] ?? '', /cannot be written, ignoring/);
  });

  it('are known by names that hold no path', () => {
    assert.ok(isIncidentId(incident.id));
    for (const bad of ['', '..', '../x', '20261125T213400-../x-1', '20261125T213400-hello-1/..', `${incident.id}\n`])
      assert.ok(!isIncidentId(bad), bad);
    assert.equal(store().read('../incidents'), undefined);
  });
});
