import assert from 'node:assert/strict';
import fc from 'fast-check';
import { asFailure, Failure } from '../../../src/base/failure.ts';
import { Owner } from '../../../src/base/owner.ts';
import { socketPaths, systemBusSockets } from '../../../src/systemd/address.ts';
import { JobWaiter } from '../../../src/systemd/job-waiter.ts';
import { MatchRules } from '../../../src/systemd/match-rules.ts';
import { unitOfPath, unitPath } from '../../../src/systemd/unit-path.ts';
import { ManualClock } from './fake-peer.ts';

describe('JobWaiter', () => {
  afterEach(() => assert.deepEqual(Owner.living(), []));

  it('resolves with a result that comes later, or came before', async () => {
    const jobs = new JobWaiter(new ManualClock());
    const later = jobs.wait('/job/1', 'a.service', 'started', 1000);
    jobs.removed('/job/2', 'failed');
    jobs.removed('/job/1', 'done');
    assert.equal(await later, 'done');
    assert.equal(await jobs.wait('/job/2', 'b.service', 'started', 1000), 'failed');
    assert.equal(jobs.early, 0);
  });

  it('forgets the oldest results that nobody asks for', () => {
    const jobs = new JobWaiter(new ManualClock());
    for (let job = 0; job < 5000; job++) jobs.removed(`/job/${job}`, 'done');
    assert.equal(jobs.early, 1000);
  });

  it('gives up after its time, and when all is given up', async () => {
    const clock = new ManualClock();
    const jobs = new JobWaiter(clock);
    const late = jobs.wait('/job/1', 'a.service', 'started', 50).catch(asFailure);
    clock.advance(50);
    assert.equal(asFailure(await late).code, 'BH502');
    const lost = jobs.wait('/job/2', 'a.service', 'stopped', 50).catch(asFailure);
    jobs.failAll(new Failure('BH501', 'gone'));
    assert.equal(asFailure(await lost).code, 'BH501');
    assert.deepEqual(jobs.waiting, []);
  });
});

describe('MatchRules', () => {
  function recording(refuse: (rule: string) => Failure | undefined = () => undefined) {
    const calls: string[] = [];
    const lost: string[] = [];
    const rules = new MatchRules(
      (member, rule) => {
        calls.push(`${member} ${rule}`);
        const failure = refuse(rule);
        return failure === undefined ? Promise.resolve() : Promise.reject(failure);
      },
      (reason) => lost.push(reason),
    );
    return { rules, calls, lost };
  }

  it('adds a rule once for all its users and removes it with the last', async () => {
    const { rules, calls } = recording();
    await rules.connected();
    await Promise.all([rules.use('a'), rules.use('a')]);
    rules.drop('a');
    assert.deepEqual(calls, ['AddMatch a']);
    rules.drop('a');
    rules.drop('a');
    assert.deepEqual(calls, ['AddMatch a', 'RemoveMatch a']);
    assert.equal(rules.size, 0);
  });

  it('keeps rules over a loss, and adds those of the time between', async () => {
    const { rules, calls } = recording();
    const before = rules.use('a');
    await rules.connected();
    await before;
    rules.disconnected();
    void rules.use('b');
    rules.drop('a');
    await rules.connected();
    assert.deepEqual(calls, ['AddMatch a', 'AddMatch b']);
  });

  it('lets go of a rule that is refused from the start, and of the connection when a known one is', async () => {
    let refusing = true;
    const { rules, lost } = recording(() => (refusing ? new Failure('BH504', 'too many') : undefined));
    await rules.connected();
    await assert.rejects(rules.use('a'), /too many/);
    assert.equal(rules.size, 0);
    refusing = false;
    await rules.use('b');
    refusing = true;
    await rules.connected();
    assert.deepEqual(lost, ['too many']);
    assert.equal(rules.size, 1);
  });
});

describe('unit paths', () => {
  it('are those of systemd', () => {
    // As `systemctl show -p` and `busctl tree org.freedesktop.systemd1` print them.
    for (const [unit, label] of [
      ['dbus.service', 'dbus_2eservice'],
      ['plugin@hello.service', 'plugin_40hello_2eservice'],
      ['plugin-a_b-a-g17.service', 'plugin_2da_5fb_2da_2dg17_2eservice'],
      ['0.slice', '_30_2eslice'],
      ['a\\x2db.service', 'a_5cx2db_2eservice'],
    ] as const) {
      assert.equal(unitPath(unit), `/org/freedesktop/systemd1/unit/${label}`);
      assert.equal(unitOfPath(unitPath(unit)), unit);
    }
  });

  it('give back every name, and nothing for other paths', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (unit) => {
        assert.equal(unitOfPath(unitPath(unit)), unit);
      }),
    );
    for (const path of [
      '/',
      '/org/freedesktop/systemd1/unit/',
      '/org/freedesktop/systemd1/unit/a-b',
      '/a/unit/x',
      '/org/freedesktop/systemd1/unit/_zz',
    ]) {
      assert.equal(unitOfPath(path), undefined, path);
    }
  });
});

describe('D-Bus addresses', () => {
  it('give their Unix sockets in order', () => {
    assert.deepEqual(socketPaths('unix:path=/run/a%20b,guid=12;tcp:host=x;unix:abstract=c'), ['/run/a b', '\0c']);
    assert.deepEqual(systemBusSockets({}), ['/run/dbus/system_bus_socket']);
    assert.deepEqual(systemBusSockets({ DBUS_SYSTEM_BUS_ADDRESS: 'unix:socket=/x' }), ['/x']);
  });

  it('without one are refused', () => {
    for (const address of ['tcp:host=localhost,port=1', 'nonsense', 'unix:path=%zz']) {
      assert.throws(() => socketPaths(address), { code: 'BH505' });
    }
  });
});
