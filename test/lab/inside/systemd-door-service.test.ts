import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { asFailure, Failure } from '../../../src/base/failure.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { SERVICE_MAX_INCOMING_BYTES, Service } from '../../../src/systemd/service.ts';
import { fromErrorReply } from '../../../src/systemd/service-error.ts';
import type { ServiceObject } from '../../../src/systemd/service-table.ts';
import { Variant } from '../../../src/systemd/wire.ts';
import { asNobody, run, Scene, sleep, until } from './systemd-door-lab.ts';

const execute = promisify(execFile);

const NAME = 'org.bulkhead.Test1';
const PATH = '/org/bulkhead/Test';
const POLICY = '/etc/dbus-1/system.d/systemd-door-test.conf';
const ACTIONS = '/usr/share/polkit-1/actions/org.bulkhead.test.policy';
const RULES = '/etc/polkit-1/rules.d/50-systemd-door-test.rules';

const POLICY_TEXT = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="root"><allow own="${NAME}"/></policy>
  <policy context="default"><allow send_destination="${NAME}"/></policy>
</busconfig>
`;

const ACTIONS_TEXT = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig>
  <action id="org.bulkhead.test">
    <description>Test</description><message>Test</message>
    <defaults><allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>auth_admin</allow_active></defaults>
  </action>
</policyconfig>
`;

const RULES_TEXT = `polkit.addRule(function (action, subject) {
  if (action.id == "org.bulkhead.test" && subject.user == "games" && action.lookup("plugin") == "p1") return polkit.Result.YES;
});
`;

describe('systemd door: our own service', function () {
  this.timeout(180_000);
  let scene: Scene;
  let service: Service;
  let waiting: (() => void)[] = [];
  const refusals: string[] = [];

  before(async () => {
    writeFileSync(POLICY, POLICY_TEXT);
    writeFileSync(ACTIONS, ACTIONS_TEXT);
    writeFileSync(RULES, RULES_TEXT);
    await run('systemctl', 'reload', 'dbus');
    await run('systemctl', 'restart', 'polkit');
  });

  after(async () => {
    for (const file of [POLICY, ACTIONS, RULES]) rmSync(file, { force: true });
    await run('systemctl', 'reload', 'dbus');
  });

  beforeEach(async () => {
    scene = new Scene();
    waiting = [];
    const bus = scene.bus(SERVICE_MAX_INCOMING_BYTES);
    service = scene.keep(
      new Service({ bus, name: NAME, clock: systemClock, onDefect: scene.onDefect, maxCallsPerSender: 4, maxCalls: 6 }),
    );
    service.export(PATH, OBJECT);
    service.start();
    await until('the name is ours', () => service.named);
  });

  afterEach(async () => {
    for (const go of waiting) go();
    await scene.release();
  });

  const text = (name: string) => ({ name, type: 's' });
  const OBJECT: ServiceObject = {
    [NAME]: {
      doc: 'For tests <only> & "nothing" else.',
      methods: {
        Echo: {
          doc: 'Says it again.',
          in: [text('text')],
          out: [text('text')],
          run: ({ arguments: [value] }) => [value],
        },
        Add: {
          doc: 'Adds.',
          in: [
            { name: 'a', type: 'u' },
            { name: 'b', type: 't' },
          ],
          out: [
            { name: 'sum', type: 't' },
            { name: 'all', type: 'a{sv}' },
          ],
          run: ({ arguments: [a, b] }) => [Number(a) + Number(b), { a: new Variant('u', a) }],
        },
        Manage: {
          doc: 'Needs a right.',
          in: [text('plugin')],
          out: [{ name: 'uid', type: 'u' }],
          run: async (call) => {
            await call.authorize('org.bulkhead.test', { plugin: String(call.arguments[0]) });
            return [(await call.credentials()).uid];
          },
        },
        Fail: {
          doc: 'Fails as expected.',
          in: [],
          out: [],
          run: () => {
            throw new Failure('BH404', "no plugin 'x'", { advice: 'look at "bulkheadctl list"' });
          },
        },
        Break: {
          doc: 'Has a defect.',
          in: [],
          out: [],
          run: () => {
            throw new TypeError('secret /path/to/source.ts');
          },
        },
        WaitThenManage: {
          doc: 'Waits, then needs a right.',
          in: [],
          out: [],
          run: async (call) => {
            await new Promise<void>((resolve) => waiting.push(resolve));
            await call
              .authorize('org.bulkhead.test')
              .catch((thrown: unknown) => refusals.push(asFailure(thrown).message));
            return [];
          },
        },
        Wait: { doc: 'Waits.', in: [], out: [], run: () => new Promise((resolve) => waiting.push(() => resolve([]))) },
      },
      properties: { Number: { doc: 'A number.', type: 't', emits: 'true', read: () => 'infinity' } },
      signals: { Happened: { doc: 'Something did.', arguments: [text('what')] } },
    },
  };

  /** busctl as another user; returns its output, or throws with what it printed. */
  async function call(user: 'root' | 'games' | 'nobody', member: string, ...args: readonly string[]): Promise<string> {
    const ids = { root: 0, games: 5, nobody: 65534 };
    const words = ['--timeout=5', 'call', NAME, PATH, NAME, member, ...args];
    const { stdout } = await execute('busctl', words, { uid: ids[user], gid: ids[user], encoding: 'utf8' });
    return stdout.trim();
  }

  const says = (pattern: RegExp) => (thrown: unknown) => {
    assert.match(String((thrown as { stderr: string }).stderr), pattern);
    return true;
  };

  it('can be introspected from the root on', async () => {
    const tree = await run('busctl', 'tree', '--list', NAME);
    assert.deepEqual(tree.trim().split('\n'), ['/', '/org', '/org/bulkhead', PATH]);
    const table = await run('busctl', 'introspect', NAME, PATH);
    assert.match(table, /^\.Add\s+method\s+ut\s+ta\{sv\}\s+-$/m);
    assert.match(table, /^\.Number\s+property\s+t\s+18446744073709551615\s+emits-change$/m);
    assert.match(table, /^\.Happened\s+signal\s+s\s+-\s+-$/m);
    const xml = await run('busctl', 'introspect', '--xml-interface', NAME, PATH);
    assert.match(xml, /For tests &lt;only&gt; &amp; &quot;nothing&quot; else\./);
  });

  it('answers calls of anybody with checked arguments', async () => {
    assert.equal(await call('nobody', 'Echo', 's', 'ünï'), String.raw`s "\303\274n\303\257"`); // busctl's way to print it
    assert.equal(await call('nobody', 'Add', 'ut', '1', '41'), 'ta{sv} 42 1 "a" u 1');
  });

  it('says precisely what is wrong with a call', async () => {
    await assert.rejects(call('nobody', 'Add', 'us', '1', 'x'), says(/Add takes \(u a, t b\), not 'us'/));
    await assert.rejects(call('nobody', 'Echo'), says(/Echo takes \(s text\), not ''/));
    await assert.rejects(call('nobody', 'Nothing'), says(/has no method Nothing/));
    await assert.rejects(call('nobody', 'constructor'), says(/has no method constructor/));
    const set = run('busctl', 'set-property', NAME, PATH, NAME, 'Number', 't', '1');
    await assert.rejects(set, says(/Number cannot be set/));
    await assert.rejects(run('busctl', 'get-property', NAME, PATH, NAME, 'None'), says(/has no property None/));
    await assert.rejects(run('busctl', 'call', NAME, '/other', NAME, 'Echo', 's', 'x'), says(/no object at \/other/));
  });

  it('tells failures with code and advice, and defects without their text', async () => {
    const client = scene.bus();
    client.start();
    await client.whenUp(5000);
    const base = { destination: NAME, path: PATH, interface: NAME };
    const failed = await client.call({ ...base, member: 'Fail' }).catch(asFailure);
    assert.ok(failed instanceof Failure);
    assert.equal(failed.dbusName, 'org.bulkhead.Error.BH404');
    const meant = fromErrorReply(failed, 'Fail');
    assert.deepEqual(
      [meant.code, meant.message, meant.advice],
      ['BH404', "no plugin 'x'", 'look at "bulkheadctl list"'],
    );

    const broken = await client.call({ ...base, member: 'Break' }).catch(asFailure);
    assert.ok(broken instanceof Failure);
    assert.equal(broken.dbusName, 'org.bulkhead.Error.BH406');
    assert.doesNotMatch(broken.message, /secret|source|at /);
    assert.match(String(scene.defects.pop()), /secret/);
  });

  it('asks polkit for everybody but root, with the details', async () => {
    assert.equal(await call('root', 'Manage', 's', 'p1'), 'u 0');
    assert.equal(await call('games', 'Manage', 's', 'p1'), 'u 5');
    await assert.rejects(
      call('games', 'Manage', 's', 'p2'),
      says(/'org\.bulkhead\.test' for user 5: polkit does not allow it/),
    );
    await assert.rejects(call('nobody', 'Manage', 's', 'p1'), says(/for user 65534: polkit does not allow it/));
  });

  it('allows only root when polkit is away', async () => {
    await run('systemctl', 'mask', '--runtime', '--now', 'polkit');
    try {
      assert.equal(await call('root', 'Manage', 's', 'p1'), 'u 0');
      await assert.rejects(
        call('games', 'Manage', 's', 'p1'),
        says(/polkit cannot be asked .* so only root may do this/),
      );
    } finally {
      await run('systemctl', 'unmask', '--runtime', 'polkit');
    }
  });

  it('refuses who asks too much at once, and serves others', async () => {
    const output = await asNobody('flood', NAME, '10');
    assert.equal(output.match(/LimitsExceeded 4 calls of yours are under way/g)?.length, 6);
    assert.equal(await call('nobody', 'Echo', 's', 'still here'), 's "still here"');
    for (const go of waiting) go();
    await until('all have ended', () => service.callsUnderWay === 0);
  });

  it('refuses descriptors and large messages, with the reason', async () => {
    assert.match(await asNobody('h-call', NAME), /InvalidArgs descriptors are not accepted/);
    assert.match(await asNobody('large-call', NAME), /LimitsExceeded the message is too large/);
    assert.equal(await call('nobody', 'Echo', 's', 'x'), 's "x"');
  });

  it('emits signals and property changes to who listens', async () => {
    const client = scene.bus();
    client.start();
    await client.whenUp(5000);
    const seen: unknown[] = [];
    const from = { sender: NAME, path: PATH };
    const happened = client.subscribe({ ...from, interface: NAME, member: 'Happened' }, ({ body }) => seen.push(body));
    const changed = client.subscribe(
      { ...from, interface: 'org.freedesktop.DBus.Properties', member: 'PropertiesChanged', arg0: NAME },
      ({ body }) => seen.push(body),
    );
    await Promise.all([happened.ready, changed.ready]);
    service.emit(PATH, NAME, 'Happened', ['it']);
    service.propertiesChanged(PATH, NAME, ['Number']);
    await until('both came', () => seen.length === 2);
    assert.deepEqual(seen, [['it'], [NAME, { Number: new Variant('t', 'infinity') }, []]]);
    assert.throws(() => service.emit(PATH, NAME, 'Nothing', []), RangeError);
  });

  it("does not take a caller of a lost connection for who has the caller's name now", async () => {
    const call = run('busctl', 'call', NAME, PATH, NAME, 'WaitThenManage').catch(() => undefined);
    await until('the call is under way', () => waiting.length === 1);
    await run('systemctl', 'restart', 'dbus');
    await until('the name is ours again', () => service.named);
    for (const go of waiting) go();
    await until('it ended', () => service.callsUnderWay === 0);
    await call;
    assert.deepEqual(refusals, ['the connection over which it was asked is lost']);
  });

  it('is there again after a restart of the bus', async () => {
    await run('systemctl', 'restart', 'dbus');
    await until('the name is ours again', () => service.named);
    await sleep(50);
    assert.equal(await call('nobody', 'Echo', 's', 'again'), 's "again"');
  });
});
