import assert from 'node:assert/strict';
import type { Declaration } from '../../../src/declare/declaration.ts';
import { DEFAULT_UPGRADE } from '../../../src/declare/upgrade.ts';
import { examplePlan } from '../../support/plans.ts';
import { EACH } from '../../support/thorough.ts';
import { type Manner, UpgradeHost } from './upgrade-host.ts';

interface Wishes {
  readonly v1?: Manner;
  readonly v2?: Manner;
  readonly upgrade?: Partial<Declaration['upgrade']>;
  readonly chains?: Partial<Declaration['recovery']['chains']>;
}

/** Two versions; v1 runs. In place both have one digest. */
function hostOf({ v1 = {}, v2 = {}, upgrade = {}, chains = {} }: Wishes = {}): UpgradeHost {
  const settings = { canary: [], bakeMs: 1500, drainMs: 2000, ...upgrade };
  const digests = settings.way === 'in-place' ? ['d1', 'd1'] : ['d1', 'd2'];
  const plans = ['v1', 'v2'].map((version, n) => ({
    ...examplePlan({ digest: digests[n] ?? '', upgrade: settings, chains }),
    version,
  }));
  const host = new UpgradeHost(plans, { v1, v2 }).wanted();
  host.live(3000);
  return host;
}

function upgrade(host: UpgradeHost, force = false): void {
  host.observe({ kind: 'upgrade-asked', version: 'v2', by: 'uid 0', why: undefined, options: { force } });
}

function rollback(host: UpgradeHost): void {
  host.observe({ kind: 'rollback-asked', by: 'uid 0', why: 'slow' });
}

/** Does all of it without a killed supervisor, and then with one killed after each of the orders that this took. */
function killedAnywhere(
  make: () => UpgradeHost,
  act: (host: UpgradeHost) => void,
  judge: (host: UpgradeHost) => void,
): void {
  const whole = make();
  whole.ordered = 0;
  act(whole);
  judge(whole);
  for (let order = 0; order < whole.ordered; order += EACH) {
    const host = make();
    host.doom(order);
    act(host);
    try {
      judge(host);
    } catch (error) {
      throw new Error(`killed after order ${order}: ${(error as Error).message}`, { cause: error });
    }
  }
}

function isLive(host: UpgradeHost, version: string): void {
  assert.equal(host.state.upgrade, undefined);
  assert.equal(host.state.phase, 'on');
  assert.equal(host.state.plan?.version, version);
  assert.equal(host.record.version, version);
  assert.equal(host.record.underWay, undefined);
  // Else the declaration would decide at the next start.
  assert.equal(host.record.declared, 'v1');
  assert.equal(host.shares[host.state.slot], 100);
  assert.equal(host.able(host.state.slot).length, 2);
  assert.equal(host.present().length, 2);
}

describe('a rollback', function () {
  this.timeout(60_000);

  const promoted = (wishes?: Wishes): UpgradeHost => {
    const host = hostOf(wishes);
    upgrade(host);
    while (host.state.upgrade !== undefined) host.live(250);
    isLive(host, 'v2');
    return host;
  };

  it('goes back to what was live before, at once, and nowhere from there', () => {
    const host = promoted();
    host.orders.length = 0;
    rollback(host);
    host.live(2000);
    const weights = host.orders.filter((order) => order.kind === 'weigh').map(({ weight }) => weight);
    assert.deepEqual(weights.slice(0, 1), [100], 'without a canary');
    host.live(10_000);
    isLive(host, 'v1');
    const { lastUpgrade } = host.state;
    assert.deepEqual([lastUpgrade?.kind, lastUpgrade?.outcome, lastUpgrade?.by], ['rollback', 'promoted', 'uid 0']);
    rollback(host);
    host.live(1000);
    isLive(host, 'v1');
    assert.equal(host.state.lastUpgrade?.outcome, 'refused');
  });

  it('is finished or undone when the supervisor is killed after any of its orders', () => {
    const judge = (host: UpgradeHost) => isLive(host, 'v1');
    const act = (host: UpgradeHost) => {
      rollback(host);
      host.live(20_000);
    };
    killedAnywhere(promoted, act, judge);
  });

  it('takes the old side back as it is, while that has not been asked to end', () => {
    const host = hostOf();
    upgrade(host);
    while (host.state.upgrade?.step !== 'draining') host.live(250);
    const before = host.everStarted.length;
    rollback(host);
    host.live(10_000);
    isLive(host, 'v1');
    assert.equal(host.everStarted.length, before);
  });

  it('does not wait for what ends of the old side', () => {
    const host = hostOf({ v1: { stopMs: 1500 } });
    upgrade(host);
    while (host.state.upgrade?.ending !== true) host.live(250);
    rollback(host);
    host.live(1000);
    assert.equal(host.able('a').length, 2);
    host.live(10_000);
    isLive(host, 'v1');
  });

  it('from what left a damaged version by force is refused, whenever the supervisor was killed', () => {
    for (let orders = 0; orders <= 60; orders += EACH) {
      const host = hostOf();
      host.noWayBack = { code: 'BH212', text: 'main.py was another one' };
      upgrade(host, true);
      host.doom(orders);
      while (host.state.upgrade !== undefined) host.live(250);
      isLive(host, 'v2');
      assert.deepEqual([host.state.previous, host.record.previous], [undefined, undefined]);
      rollback(host);
      host.live(5000);
      isLive(host, 'v2');
      assert.equal(host.state.lastUpgrade?.outcome, 'refused');
    }
  });

  it('is a step of recovery: a version that keeps dying goes, whenever the supervisor is killed', () => {
    const chains = { crash: [{ kind: 'rollback', delayMs: 0, times: 'any', risky: false }] } as const;
    const make = () => promoted({ v2: { diesAfterMs: 8000 }, chains });
    const act = (host: UpgradeHost) => host.live(30_000);
    killedAnywhere(make, act, (host) => {
      isLive(host, 'v1');
      assert.equal(host.state.lastUpgrade?.by, 'recovery');
      assert.match(host.state.lastUpgrade?.why ?? '', /SIGSEGV/);
    });
  });

  it('that is a step of recovery is passed over where there is nothing to go back to', () => {
    const chains = { crash: [{ kind: 'rollback', delayMs: 0, times: 'any', risky: false }] } as const;
    const host = hostOf({ v1: { diesAfterMs: 3000 }, chains });
    host.live(5000);
    assert.equal(host.state.lastUpgrade, undefined);
    assert.equal(host.state.quarantined, true);
  });
});

describe('what failed', () => {
  const failed = (): UpgradeHost => {
    const host = hostOf({ v2: { verdict: 'bad' } });
    upgrade(host);
    host.live(15_000);
    isLive(host, 'v1');
    return host;
  };

  it('as it began never had a connection, though nothing but its execution says that it is ready', () => {
    const host = hostOf({ v2: { startMs: 500, diesAfterMs: 1250 } });
    host.orders.length = 0;
    upgrade(host);
    host.live(10_000);
    isLive(host, 'v1');
    assert.equal(host.state.lastUpgrade?.reason?.code, 'BH321');
    assert.deepEqual(
      host.orders.filter((order) => order.kind === 'weigh' && order.weight > 0),
      [],
    );
  });

  it('is an incident of one of its sandboxes, with what the judge saw as evidence, and over with the upgrade', () => {
    for (const [verdict, kind, code] of [
      ['bad', 'judged', 'BH322'],
      ['few', 'not-judged', 'BH323'],
    ] as const) {
      const judge = { ...DEFAULT_UPGRADE.judge, few: 'rollback' } as const;
      const host = hostOf({ v2: { verdict }, upgrade: { judge } });
      upgrade(host);
      host.live(60_000);
      isLive(host, 'v1');
      const { lastUpgrade, open } = host.state;
      assert.equal(lastUpgrade?.reason?.code, code);
      const opened = [...host.incidents.values()];
      assert.deepEqual(
        opened.map((one) => [one.id, one.verdict.class, one.verdict.kind, one.version, one.slot, one.step.kind]),
        [[lastUpgrade?.incident, 'probe-failed', kind, 'v2', 'b', 'rollback']],
      );
      assert.match(opened[0]?.unit ?? '', /-b-g\d+\./);
      assert.match(opened[0]?.action ?? '', /^undo upgrade to v2/);
      const word = verdict === 'bad' ? 'bad' : 'well';
      assert.deepEqual(opened[0]?.verdict.evidence, [
        { what: 'errors', value: `${word}: 40 of 100; the old side: 0 of 100; borne: 1 points more` },
      ]);
      assert.deepEqual([host.over, open], [[lastUpgrade?.incident], []]);
    }
  });

  it('is not tried again by itself, nor by a person without saying so', () => {
    const host = failed();
    const started = host.everStarted.length;
    const v2 = { ...host.plan, digest: 'd2', version: 'v2' };
    host.plan = v2;
    host.observe({ kind: 'reload' });
    host.live(5000);
    assert.equal(host.state.refused?.code, 'BH428');
    upgrade(host);
    host.live(5000);
    assert.deepEqual([host.state.lastUpgrade?.outcome, host.state.lastUpgrade?.reason?.code], ['refused', 'BH428']);
    assert.equal(host.everStarted.length, started);
    upgrade(host, true);
    host.live(1000);
    assert.ok(host.everStarted.length > started);
  });

  it('keeps the declaration that names it out of force until somebody edits it again', () => {
    const host = failed();
    assert.deepEqual(host.record.version, 'v1');
    assert.deepEqual(host.record.declared, 'v1');
    assert.deepEqual(
      host.record.failed.map(({ version, reason }) => [version, reason.code]),
      [['v2', 'BH322']],
    );
  });
});

describe('a wish for another version', () => {
  it('is refused while another one is fulfilled, when it is what runs, when it is not installed, and when nothing runs', () => {
    const host = hostOf();
    const codes: (string | undefined)[] = [];
    const ask = (version: string) => {
      host.observe({ kind: 'upgrade-asked', version, by: 'uid 0', why: undefined, options: {} });
      codes.push(host.state.lastUpgrade?.reason?.code);
    };
    ask('v1');
    ask('v9');
    rollback(host);
    codes.push(host.state.lastUpgrade?.reason?.code);
    ask('v2');
    const under = host.state.upgrade?.id;
    ask('v2');
    assert.equal(host.state.upgrade?.id, under);
    host.isWanted = false;
    host.observe({ kind: 'unwanted' });
    host.live(5000);
    ask('v2');
    assert.deepEqual(codes, ['BH426', 'BH201', 'BH201', 'BH201', 'BH201', 'BH328']);
  });

  it('waits for one that is under way when it is a reload', () => {
    const host = hostOf();
    upgrade(host);
    host.observe({ kind: 'reload' });
    assert.equal(host.orders.filter(({ kind }) => kind === 'load').length, 0);
    host.live(20_000);
    // The declaration still names v1.
    assert.equal(host.state.lastUpgrade?.kind, 'reload');
    isLive(host, 'v1');
  });

  it('comes to nothing when nobody answers what the version is', () => {
    const host = hostOf();
    host.deaf = true;
    upgrade(host);
    host.live(61_000);
    host.deaf = false;
    assert.deepEqual([host.state.upgrade, host.state.lastUpgrade?.reason?.code], [undefined, 'BH326']);
  });
});

describe('an upgrade in place', function () {
  this.timeout(60_000);
  const settings = { way: 'in-place', signal: 'SIGUSR1' } as const;

  const cases: readonly [name: string, v2: Manner, ends: string, version: string][] = [
    ['goes well', {}, 'promoted', 'v2'],
    ['is judged bad', { verdict: 'bad' }, 'rolled-back', 'v1'],
    ['dies of it', { diesWithTraffic: true }, 'rolled-back', 'v1'],
    ['cannot be switched', { notSwitched: true }, 'rolled-back', 'v1'],
    ['cannot be made durable', { notCommitted: true }, 'rolled-back', 'v1'],
    ['is another version than was installed', { unverified: true }, 'refused', 'v1'],
  ];
  for (const [name, v2, ends, version] of cases)
    it(`that ${name}, whenever the supervisor is killed`, () => {
      const act = (host: UpgradeHost) => {
        upgrade(host);
        host.live(40_000);
      };
      killedAnywhere(
        () => hostOf({ v2, upgrade: settings }),
        act,
        (host) => {
          isLive(host, version);
          assert.equal(host.state.lastUpgrade?.outcome, ends);
          assert.equal(host.sees, version);
          assert.equal(host.state.slot, 'a');
          if (ends !== 'refused') assert.match(host.signalled.at(-1) ?? '', new RegExp(`SIGUSR1 ${version}$`));
        },
      );
    });

  it('replaces what started while the directory changed, which may have read of both', () => {
    const host = hostOf({ upgrade: settings });
    const [one] = host.present();
    assert.ok(one !== undefined);
    upgrade(host);
    // Its place is taken before the directory is what it was.
    const before = host.everStarted.length;
    host.end(one, 11);
    const half = host.everStarted[before];
    host.live(5000);
    isLive(host, 'v1');
    assert.ok(host.present().every(({ unit }) => unit !== half));
    assert.equal(host.able('a').length, 2);
  });

  it('starts nothing, and is gone back from in the same way', () => {
    const host = hostOf({ upgrade: settings });
    const started = host.everStarted.length;
    upgrade(host);
    host.live(5000);
    isLive(host, 'v2');
    rollback(host);
    host.live(2000);
    isLive(host, 'v1');
    assert.equal(host.sees, 'v1');
    assert.equal(host.everStarted.length, started);
  });
});
