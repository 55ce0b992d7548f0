import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import type { Failure } from '../../../src/base/failure.ts';
import { PRIVATE_SOCKET } from '../../../src/systemd/address.ts';
import type { Bus, CallParts } from '../../../src/systemd/bus.ts';
import type { Resync } from '../../../src/systemd/manager.ts';
import { SYSTEMD_NAME } from '../../../src/systemd/manager-link.ts';
import { type UnitEvent, UnitEvents } from '../../../src/systemd/unit-events.ts';
import { unitPath } from '../../../src/systemd/unit-path.ts';
import { asNobody, command, ownNames, run, Scene, SLEEPER, SocketProxy, sleep, until } from './systemd-door-lab.ts';

const DBUS = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' };
const GET_ID: CallParts = { ...DBUS, member: 'GetId' };

/** A call to ourselves that we do not answer. */
function slowCall(bus: Bus): Promise<unknown[]> {
  bus.onCall = () => undefined;
  return bus.call({ destination: bus.uniqueName ?? '', path: '/', interface: 'a.b', member: 'Never' });
}

function failure(code: string, more: (failure: Failure) => boolean = () => true) {
  return (thrown: unknown) => {
    assert.equal((thrown as Failure).code, code, String(thrown));
    assert.ok(more(thrown as Failure), String((thrown as Failure).dbusName));
    return true;
  };
}

describe('systemd door', function () {
  this.timeout(180_000);
  let scene: Scene;

  beforeEach(() => {
    scene = new Scene();
  });

  afterEach(async () => {
    await scene.release();
  });

  async function startedBus(): Promise<Bus> {
    const bus = scene.bus();
    bus.start();
    await bus.whenUp(5000);
    return bus;
  }

  function recorded(events: UnitEvents): UnitEvent[] {
    const seen: UnitEvent[] = [];
    events.listen((event) => seen.push(event));
    return seen;
  }

  async function matchRulesOf(name: string | undefined): Promise<number> {
    const text = await run(
      'busctl',
      ...['--json=short', 'call', 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus.Debug.Stats'],
      ...['GetConnectionStats', 's', name ?? ''],
    );
    return (JSON.parse(text) as { data: [{ MatchRules: { data: number } }] }).data[0].MatchRules.data;
  }

  describe('messages of other users', () => {
    it('survives a signal that claims a descriptor', async () => {
      const bus = await startedBus();
      assert.match(await asNobody('h-signal', bus.uniqueName ?? ''), /sent/);
      await until('the message was counted', () => bus.counters.malformed === 1);
      assert.equal((await bus.call(GET_ID)).length, 1);
    });

    it('does not take a JobRemoved of nobody for the end of a job', async () => {
      const manager = scene.busManager();
      manager.start();
      await manager.version();
      const unit = scene.unit('plugin-door-spoof-job');
      const properties = [
        ...SLEEPER,
        ['ExecStartPre', 'a(sasb)', [['/usr/bin/sleep', ['sleep', '2'], false]]],
      ] as const;
      const job = manager.startTransientUnit(unit, properties);
      let path = '';
      await until('the job is there', async () => {
        path =
          /"(\/org\/freedesktop\/systemd1\/job\/\d+)"/.exec(
            await run(
              'busctl',
              'get-property',
              SYSTEMD_NAME,
              unitPath(unit),
              'org.freedesktop.systemd1.Unit',
              'Job',
            ).catch(() => ''),
          )?.[1] ?? '';
        return path !== '';
      });
      for (const victim of await ownNames()) await asNobody('job-removed', victim, path, unit);
      assert.equal(await job, 'done');
      assert.ok(manager.spoofed >= 1, `${manager.spoofed} were counted`);
    });

    it('does not take a PropertiesChanged of nobody for a death', async () => {
      const manager = scene.busManager();
      const events = scene.keep(new UnitEvents(manager, (unit) => unit.startsWith('plugin-door'), scene.onDefect));
      manager.start();
      const unit = scene.unit('plugin-door-spoof-properties');
      assert.equal(await manager.startTransientUnit(unit, SLEEPER), 'done');
      await sleep(100);
      const seen = recorded(events);
      for (const victim of await ownNames()) await asNobody('properties-changed', victim, unitPath(unit));
      assert.deepEqual(seen, []);
      assert.ok(manager.spoofed >= 1, `${manager.spoofed} were counted`);
    });

    it('does not take a NameOwnerChanged of nobody for a new systemd', async () => {
      const bus = await startedBus();
      const tracked = bus.trackOwner(SYSTEMD_NAME, () => undefined);
      await tracked.ready;
      const owner = bus.ownerOf(SYSTEMD_NAME);
      assert.match(owner ?? '', /^:1\.\d+$/);
      await asNobody('name-owner-changed', bus.uniqueName ?? '', ':1.666');
      await until('the signal was counted', () => bus.counters.spoofed === 1);
      assert.equal(bus.ownerOf(SYSTEMD_NAME), owner);
      tracked.release();
    });
  });

  describe('a connection to the bus', () => {
    for (const [what, args] of [
      ['systemctl restart dbus', ['restart', 'dbus']],
      ['SIGKILL of dbus-daemon', ['kill', '--signal=KILL', 'dbus']],
    ] as const) {
      it(`survives ${what} with calls in flight`, async () => {
        const bus = await startedBus();
        const signals: unknown[] = [];
        const pattern = { sender: DBUS.destination, interface: DBUS.interface, member: 'NameOwnerChanged' };
        const subscription = bus.subscribe(pattern, ({ body }) => signals.push(body[0]));
        await subscription.ready;
        const downs: Failure[] = [];
        bus.onDown.add((reason) => downs.push(reason));
        const calls = Array.from({ length: 20 }, () => assert.rejects(slowCall(bus), failure('BH501')));
        await run('systemctl', ...args);
        await Promise.all(calls);
        await bus.whenUp(10_000);
        assert.equal(bus.pendingCalls, 0);
        assert.equal(downs.length, 1);
        assert.equal((await bus.call(GET_ID)).length, 1);
        signals.length = 0;
        await run('busctl', 'call', 'org.freedesktop.DBus', '/', 'org.freedesktop.DBus', 'GetId');
        await until('signals come again', () => signals.length > 0);
        assert.equal(await matchRulesOf(bus.uniqueName), 1);
        subscription.release();
      });
    }

    it('refuses what cannot be encoded, before and after connecting, and goes on', async () => {
      const bus = scene.bus();
      const bad = { ...GET_ID, signature: 'u', body: [-1] };
      await assert.rejects(bus.call(bad), failure('BH503'));
      bus.start();
      await assert.rejects(bus.call(bad), failure('BH503'));
      await bus.whenUp(5000);
      for (const [signature, body] of [
        ['u', [1.5]],
        ['o', ['not/a/path']],
        ['h', [0]],
        ['(su)', [['x']]],
        ['v', ['bare']],
        ['s', [undefined]],
        ['s', ['nul\0']],
        ['t', [-1]],
        ['ss', ['one']],
      ] as const) {
        await assert.rejects(bus.call({ ...GET_ID, signature, body: [...body] }), failure('BH503'), signature);
      }
      await assert.rejects(bus.call({ ...GET_ID, member: 'no-member' }), failure('BH503'));
      await assert.rejects(bus.call({ ...GET_ID, destination: ':no name' }), failure('BH503'));
      assert.equal(bus.pendingCalls, 0);
      assert.equal((await bus.call(GET_ID)).length, 1);
      assert.equal(bus.counters.losses, 0);
    });

    it('gives up a call after its time', async () => {
      const bus = await startedBus();
      bus.onCall = () => undefined;
      const begin = Date.now();
      const call = { destination: bus.uniqueName ?? '', path: '/', interface: 'a.b', member: 'Never' };
      await assert.rejects(bus.call(call, { timeoutMs: 200 }), failure('BH502'));
      const took = Date.now() - begin;
      assert.ok(took >= 190 && took < 20_000, `${took} ms`);
      assert.equal(bus.pendingCalls, 0);
    });

    it('takes match rules back', async () => {
      const bus = await startedBus();
      const before = await matchRulesOf(bus.uniqueName);
      const pattern = { sender: SYSTEMD_NAME, interface: 'a.b', member: 'C' };
      for (let round = 0; round < 20; round++) {
        const both = [bus.subscribe(pattern, () => undefined), bus.subscribe(pattern, () => undefined)];
        await Promise.all(both.map(({ ready }) => ready));
        // The rule itself, and the one that follows the owner of systemd's name.
        if (round === 0) assert.equal(await matchRulesOf(bus.uniqueName), before + 2);
        for (const subscription of both) subscription.release();
      }
      await bus.call(GET_ID);
      assert.equal(await matchRulesOf(bus.uniqueName), before);
      assert.equal(bus.matchRules, 0);
    });

    it('tells when the bus takes no more match rules, and keeps the rest', async () => {
      const bus = await startedBus();
      const subscriptions = Array.from({ length: 520 }, (_, index) =>
        bus.subscribe({ sender: DBUS.destination, interface: 'a.b', member: `M${index}` }, () => undefined),
      );
      const results = await Promise.allSettled(subscriptions.map(({ ready }) => ready));
      const refused = results.filter((result) => result.status === 'rejected');
      assert.ok(refused.length > 0 && refused.length < 20, `${refused.length} refused`);
      assert.ok(
        failure(
          'BH504',
          ({ dbusName }) => dbusName === 'org.freedesktop.DBus.Error.LimitsExceeded',
        )(refused[0]?.reason),
      );
      assert.equal((await bus.call(GET_ID)).length, 1);
      for (const subscription of subscriptions) subscription.release();
    });

    it('serves two clients apart', async () => {
      const [one, two] = [await startedBus(), await startedBus()];
      assert.notEqual(one.uniqueName, two.uniqueName);
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) => (index % 2 === 0 ? one : two).call(GET_ID)),
      );
      assert.equal(new Set(answers.map(([id]) => id)).size, 1);
      one.release();
      assert.equal((await two.call(GET_ID)).length, 1);
    });
  });

  for (const way of ['private', 'bus'] as const) {
    describe(`the manager over ${way === 'bus' ? 'the system bus' : "systemd's socket"}`, () => {
      function started() {
        const manager = way === 'bus' ? scene.busManager() : scene.manager();
        const events = scene.keep(new UnitEvents(manager, (unit) => unit.startsWith('plugin-door'), scene.onDefect));
        const resyncs: Resync[] = [];
        manager.onResync.add((resync) => resyncs.push(resync));
        manager.start();
        return { manager, events, seen: recorded(events), resyncs };
      }

      it('starts a transient unit, reads it, kills it, and sees its death', async () => {
        const { manager, seen } = started();
        assert.ok((await manager.version()) >= 252);
        assert.equal(manager.way, way);
        const unit = scene.unit(`plugin-door-life-${way}`);
        const properties = [...SLEEPER, ['MemoryMax', 't', 'infinity'], ['TasksMax', 't', 50]] as const;
        assert.equal(await manager.startTransientUnit(unit, properties), 'done');
        const [row] = await manager.listUnitsByPatterns(['plugin-door-life*']);
        assert.deepEqual(
          [row?.unit, row?.activeState, row?.subState, row?.job],
          [unit, 'active', 'running', undefined],
        );
        const all = await manager.unitProperties(unit, ['Unit', 'Service']);
        assert.equal(all.MemoryMax, 'infinity');
        assert.equal(all.TasksMax, 50);
        assert.equal(JSON.stringify(all).includes('"Id"'), true); // a BigInt anywhere would throw
        await manager.setUnitProperties(unit, true, [['TasksMax', 't', 60]]);
        assert.equal(await manager.unitProperty(unit, 'Service', 'TasksMax'), 60);
        await manager.killUnit(unit, 'all', 9);
        await until('it was removed', () => seen.some((event) => event.kind === 'removed' && event.unit === unit));
        const states = seen.flatMap((event) => (event.kind === 'changed' ? [event.state] : []));
        const death = states.find((state) => state.execMainCode === 2);
        assert.deepEqual([death?.result, death?.execMainStatus, death?.mainPid], ['signal', 9, 0]);
        assert.ok(states.some((state) => state.activeState === 'failed'));
        for (let index = 1; index < states.length; index++) assert.notDeepEqual(states[index], states[index - 1]);
        assert.deepEqual(
          seen.filter((event) => event.kind === 'job').map((event) => event.kind === 'job' && event.result),
          ['done'],
        );
      });

      it('tells how a start failed', async () => {
        const { manager } = started();
        const unit = scene.unit(`plugin-door-fails-${way}`);
        const result = await manager.startTransientUnit(unit, [['Type', 's', 'exec'], command('/nonexistent')]);
        assert.equal(result, 'failed');
        await assert.rejects(
          manager.startTransientUnit(unit, SLEEPER),
          failure('BH504', ({ dbusName }) => dbusName === 'org.freedesktop.systemd1.UnitExists'),
        );
        await manager.resetFailed(unit);
        await assert.rejects(
          manager.stopUnit('plugin-door-none.service'),
          failure('BH504', ({ dbusName }) => dbusName === 'org.freedesktop.systemd1.NoSuchUnit'),
        );
      });

      it("gives systemd's own reason for a bad property", async () => {
        const { manager } = started();
        await assert.rejects(
          manager.startTransientUnit(`plugin-door-bad-${way}.service`, [['MemoryMx', 't', 1]]),
          failure('BH504', ({ message, dbusName }) => {
            assert.match(message, /Cannot set property MemoryMx, or unknown property/);
            return dbusName === 'org.freedesktop.DBus.Error.PropertyReadOnly';
          }),
        );
      });

      it('runs 200 transient units at once', async () => {
        const { manager, seen } = started();
        const units = Array.from({ length: 200 }, (_, index) => scene.unit(`plugin-door-many-${way}-${index}`));
        const results = await Promise.all(units.map((unit) => manager.startTransientUnit(unit, SLEEPER)));
        assert.deepEqual(new Set(results), new Set(['done']));
        const stopped = await Promise.all(units.map((unit) => manager.stopUnit(unit)));
        assert.deepEqual(new Set(stopped), new Set(['done']));
        await until('all were removed', () => seen.filter((event) => event.kind === 'removed').length === 200);
        assert.ok(manager.earlyJobResults < 100, `${manager.earlyJobResults} results are kept`);
      });

      it('survives daemon-reload without inventing removals', async () => {
        const { manager, seen, resyncs } = started();
        const unit = scene.unit(`plugin-door-reload-${way}`);
        await manager.startTransientUnit(unit, SLEEPER);
        await sleep(50);
        const pid = await manager.unitProperty(unit, 'Service', 'MainPID');
        const slow = ['ExecStartPre', 'a(sasb)', [['/usr/bin/sleep', ['sleep', '1'], false]]] as const;
        const job = manager.startTransientUnit(scene.unit(`plugin-door-reload-slow-${way}`), [...SLEEPER, slow]);
        await sleep(100);
        await run('systemctl', 'daemon-reload');
        assert.equal(await job, 'done');
        await until('a resync came', () => resyncs.some(({ reason }) => reason === 'reloaded'));
        assert.equal(manager.reloading, false);
        assert.ok(!seen.some((event) => event.kind === 'removed'));
        assert.equal(await manager.unitProperty(unit, 'Service', 'MainPID'), pid);
        await manager.killUnit(unit, 'all', 9);
        await until('its death was seen', () => seen.some((event) => event.kind === 'removed'));
      });

      it('survives daemon-reexec with a job under way', async () => {
        const { manager, seen, resyncs } = started();
        const unit = scene.unit(`plugin-door-reexec-${way}`);
        const slow = ['ExecStartPre', 'a(sasb)', [['/usr/bin/sleep', ['sleep', '3'], false]]] as const;
        const job = manager.startTransientUnit(unit, [...SLEEPER, slow]);
        await until('it starts', async () =>
          (await manager.listUnitsByPatterns([unit])).some((row) => row.job !== undefined),
        );
        const before = resyncs.length;
        await run('systemctl', 'daemon-reexec');
        assert.equal(await job, 'done');
        await until('a resync came', () => resyncs.slice(before).some(({ reason }) => reason === 'connected'));
        await until('the old way is back', () => manager.way === way);
        assert.ok(!seen.some((event) => event.kind === 'removed'));
        await manager.killUnit(unit, 'all', 9);
        await until('its death was seen', () => seen.some((event) => event.kind === 'removed'));
      });

      it('survives systemctl restart dbus', async () => {
        const { manager, seen, resyncs } = started();
        const unit = scene.unit(`plugin-door-dbus-${way}`);
        await manager.startTransientUnit(unit, SLEEPER);
        const before = resyncs.length;
        await run('systemctl', 'restart', 'dbus');
        if (way === 'bus') await until('a resync came', () => resyncs.length > before);
        else assert.equal(resyncs.length, before);
        const [row] = await manager.listUnitsByPatterns([unit]);
        assert.equal(row?.activeState, 'active');
        assert.equal(await manager.stopUnit(unit), 'done');
        await until('its end was seen', () => seen.some((event) => event.kind === 'removed'));
      });
    });
  }

  describe('the way to systemd', () => {
    let proxy: SocketProxy;

    beforeEach(async () => {
      proxy = new SocketProxy('/run/systemd-door-test.sock', PRIVATE_SOCKET);
      await proxy.open();
    });

    afterEach(() => {
      proxy.release();
    });

    const slow = ['ExecStartPre', 'a(sasb)', [['/usr/bin/sleep', ['sleep', '1'], false]]] as const;

    it('is the system bus while the private socket is away', async () => {
      const manager = scene.manager(proxy.path);
      const resyncs: Resync[] = [];
      manager.onResync.add((resync) => resyncs.push(resync));
      manager.start();
      await manager.version();
      assert.equal(manager.way, 'private');
      const job = manager.startTransientUnit(scene.unit('plugin-door-ways'), [...SLEEPER, slow]);
      await sleep(200);

      proxy.release();
      await until('the loss was noticed', () => manager.way === undefined);
      assert.ok((await manager.version()) >= 252);
      assert.equal(manager.way, 'bus');
      assert.equal(await job, 'done');

      await proxy.open();
      await until('the private socket is used again', () => manager.way === 'private');
      await until('the bus is left', async () => (await ownNames()).length === 0);
      assert.ok((await manager.version()) >= 252);
      assert.deepEqual(
        resyncs.map(({ way }) => way),
        ['private', 'bus', 'private'],
      );
    });

    it('may be away while jobs end: their results are found afterwards', async () => {
      const manager = scene.manager(proxy.path, '/run/none.sock');
      manager.start();
      await manager.version();
      const [good, bad, old] = ['good', 'bad', 'old'].map((name) => scene.unit(`plugin-door-missed-${name}`)) as [
        string,
        string,
        string,
      ];
      const stopSlowly = ['ExecStop', 'a(sasb)', [['/usr/bin/sleep', ['sleep', '1'], false]]] as const;
      assert.equal(await manager.startTransientUnit(old, [...SLEEPER, stopSlowly]), 'done');
      const failing = [['Type', 's', 'exec'], slow, command('/nonexistent')] as const;
      const jobs = [
        manager.startTransientUnit(good, [...SLEEPER, slow]),
        manager.startTransientUnit(bad, failing),
        manager.stopUnit(old),
      ];
      await sleep(200);
      proxy.release();
      await sleep(1500);
      await proxy.open();
      assert.deepEqual(await Promise.all(jobs), ['done', 'failed', 'done']);
    });

    it('fails a call when there is none in time', async () => {
      const manager = scene.manager('/run/none.sock');
      await assert.rejects(manager.version({ timeoutMs: 100 }), failure('BH505'));
    });
  });

  describe('arguments of commands', () => {
    const output = '/run/plugin-door-literal.txt';
    const odd = [
      '$HOME',
      '\u0024{HOME}',
      '%n',
      '%%',
      'a b',
      '',
      "it's",
      '"',
      '\\x41',
      ';',
      '$$',
      'x;y',
      'ü',
      '\t',
      '#',
      '@x',
    ];
    const words = ['/usr/bin/printf', '<%s>\\n', ...odd];
    const expected = `${odd.map((word) => `<${word}>`).join('\n')}\n`;
    const common = [
      ['Type', 's', 'oneshot'],
      ['RemainAfterExit', 'b', true],
      ['Environment', 'as', ['HOME=/wrong', 'PERCENT=%n']],
      ['StandardOutputFileToTruncate', 's', output],
    ] as const;

    afterEach(() => {
      rmSync(output, { force: true });
    });

    it('arrive literally with no-env-expand, also after a daemon-reload of systemd 257', async () => {
      const manager = scene.manager();
      manager.start();
      const unit = scene.unit('plugin-door-literal');
      const exec = ['ExecStartEx', 'a(sasas)', [[words[0], words, ['no-env-expand']]]] as const;
      assert.equal(await manager.startTransientUnit(unit, [...common, exec]), 'done');
      assert.equal(readFileSync(output, 'utf8'), expected);
      assert.deepEqual(await manager.unitProperty(unit, 'Service', 'Environment'), ['HOME=/wrong', 'PERCENT=%n']);
      if ((await manager.version()) < 257) return; // 252 cannot read its own ExecStartEx=; see properties.ts
      await run('systemctl', 'daemon-reload');
      assert.equal(await manager.restartUnit(unit), 'done');
      assert.equal(readFileSync(output, 'utf8'), expected);
    });

    it('arrive literally with each $ doubled, and the unit stays loaded over a daemon-reload, on every systemd', async () => {
      const manager = scene.manager();
      manager.start();
      const unit = scene.unit('plugin-door-doubled');
      const doubled = words.map((word) => word.replaceAll('$', '$$$$'));
      const exec = ['ExecStart', 'a(sasb)', [[words[0], doubled, false]]] as const;
      assert.equal(await manager.startTransientUnit(unit, [...common, exec]), 'done');
      assert.equal(readFileSync(output, 'utf8'), expected);
      await run('systemctl', 'daemon-reload');
      assert.equal(await manager.unitProperty(unit, 'Unit', 'LoadState'), 'loaded');
      await manager.setUnitProperties(unit, true, [['TasksMax', 't', 60]]);
    });
  });
});
