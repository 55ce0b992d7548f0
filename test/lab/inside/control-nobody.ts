/**
 * What a user without rights can ask of the supervisor; runs as nobody. Arguments: `refusals` or
 * `rubbish`, the name of a plugin, and for `rubbish` a number of calls. Prints JSON: what came of each call, or how often
 * each answer came.
 */
import { asFailure } from '../../../src/base/failure.ts';
import { MANAGER_INTERFACE, MANAGER_NAME, MANAGER_PATH } from '../../../src/control/wire-names.ts';
import { systemClock } from '../../../src/kernel/clock.ts';
import { SYSTEM_BUS_SOCKET } from '../../../src/systemd/address.ts';
import { Bus, type CallParts } from '../../../src/systemd/bus.ts';

const [, , kind = '', plugin = '', count = '0'] = process.argv;

const bus = new Bus({
  name: 'system bus',
  sockets: [SYSTEM_BUS_SOCKET],
  kind: 'bus',
  clock: systemClock,
  onDefect: (thrown) => {
    throw thrown;
  },
});

function call(member: string, signature: string, body: readonly unknown[], more: Partial<CallParts> = {}) {
  return bus.call({
    destination: MANAGER_NAME,
    path: MANAGER_PATH,
    interface: MANAGER_INTERFACE,
    member,
    signature,
    body,
    ...more,
  });
}

async function outcome(made: Promise<unknown>): Promise<{ name: string; text: string }> {
  try {
    await made;
    return { name: 'ok', text: '' };
  } catch (thrown) {
    const failure = asFailure(thrown);
    return { name: failure.dbusName ?? failure.code, text: failure.message };
  }
}

async function refusals(): Promise<unknown> {
  return {
    StartPlugin: await outcome(call('StartPlugin', 's', [plugin])),
    StopPlugin: await outcome(call('StopPlugin', 's', [plugin])),
    RestartPlugin: await outcome(call('RestartPlugin', 's', [plugin])),
    badName: await outcome(call('StartPlugin', 's', ['../etc/passwd'])),
    wrongType: await outcome(call('StartPlugin', 'u', [1])),
    tooMany: await outcome(call('StartPlugin', 'ss', [plugin, 'x'])),
    none: await outcome(call('StartPlugin', '', [])),
    unknownMethod: await outcome(call('constructor', '', [])),
    unknownObject: await outcome(call('ListPlugins', '', [], { path: '/nowhere' })),
    setVersion: await outcome(
      call('Set', 'sss', [MANAGER_INTERFACE, 'Version', 'x'], { interface: 'org.freedesktop.DBus.Properties' }),
    ),
    takeName: await outcome(
      bus.call({
        ...{ destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus', interface: 'org.freedesktop.DBus' },
        ...{ member: 'RequestName', signature: 'su', body: [MANAGER_NAME, 4] },
      }),
    ),
  };
}

/** Every kind of call that could be made by mistake or malice, in turn. */
const RUBBISH: readonly (() => Promise<unknown>)[] = [
  () => call('StartPlugin', 's', [plugin]),
  () => call('StopPlugin', 's', ['\u0007'.repeat(5000)]),
  () => call('GetStatus', 's', ['__proto__']),
  () => call('GetStatus', 'u', [7]),
  () => call('GetEvents', 'tu', [Number.MAX_SAFE_INTEGER, 0xffff_ffff]),
  () => call('GetPlan', 's', ['']),
  () => call('NoSuchMethod', 'a{sv}', [{}]),
  () => call('ListPlugins', 's', ['x']),
  () => call('Get', 'ss', ['constructor', 'constructor'], { interface: 'org.freedesktop.DBus.Properties' }),
  () => call('RestartPlugin', 's', ['x'.repeat(100_000)]),
];

async function rubbish(total: number): Promise<unknown> {
  const answers: Record<string, number> = {};
  let next = 0;
  const lane = async () => {
    while (next < total) {
      const make = RUBBISH[next % RUBBISH.length];
      next += 1;
      const { name } = await outcome(make === undefined ? Promise.resolve() : make());
      answers[name] = (answers[name] ?? 0) + 1;
    }
  };
  // More than the 16 calls that the service takes from one sender at once.
  await Promise.all(Array.from({ length: 40 }, lane));
  return answers;
}

bus.start();
await bus.whenUp(5000);
const result = kind === 'rubbish' ? await rubbish(Number(count)) : await refusals();
process.stdout.write(`${JSON.stringify(result)}\n`);
bus.release();
