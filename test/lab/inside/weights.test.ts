import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import type { PluginStatus } from '../../../src/control/api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { pause } from '../../support/load.ts';
import {
  declare,
  killSupervisor,
  must,
  run,
  status,
  supervisorBack,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'weighed';
const PORT = 9301;
const V4 = { host: '127.0.0.1', port: PORT };
const V6 = { host: '::1', port: PORT };
const LOCAL = { path: '/run/plugin/weighed.sock' };
const EVERY = { IPv4: V4, IPv6: V6, Unix: LOCAL };

/** Says its version to whoever connects, and closes. */
const program = (version: string): string => `
import os, selectors, signal, socket, sys
ready = selectors.DefaultSelector()
for n in range(int(os.environ["LISTEN_FDS"])):
    listener = socket.socket(fileno=3 + n)
    listener.setblocking(False)
    ready.register(listener, selectors.EVENT_READ)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
# It accepts no more, for whatever reason.
signal.signal(signal.SIGUSR1, lambda *_: [ready.unregister(key.fileobj) for key in list(ready.get_map().values())])
while True:
    for key, _ in ready.select():
        try:
            client, _ = key.fileobj.accept()
        except BlockingIOError:
            continue
        client.setblocking(True)
        client.sendall(b"${version}")
        client.close()
`;

/** What the one said who took the connection, or the error. */
function ask(to: NetConnectOpts): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(to);
    let text = '';
    socket.setTimeout(30_000, () => socket.destroy(new Error('nobody answered')));
    socket.on('data', (data) => {
      text += String(data);
    });
    socket.on('error', ({ message }) => resolve(message));
    socket.on('close', () => resolve(text));
  });
}

/** So many connections, some at a time: how often each answer came. */
async function answers(to: NetConnectOpts, count: number): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  let left = count;
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await ask(to);
      found[answer] = (found[answer] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: 20 }, one));
  return found;
}

/** Holds the share of v2 against what was asked for; five standard deviations happen once in a million. */
async function assertShare(what: string, to: NetConnectOpts, count: number, percent: number): Promise<void> {
  const { v1 = 0, v2 = 0, ...others } = await answers(to, count);
  assert.deepEqual(others, {}, what);
  const expected = (count * percent) / 100;
  const z = (v2 - expected) / Math.sqrt((expected * (100 - percent)) / 100);
  process.stdout.write(
    `      ${what}: n=${count}, ${((v2 / count) * 100).toFixed(2)} % for ${percent} %, z=${z.toFixed(2)}\n`,
  );
  assert.ok(v1 + v2 === count && Math.abs(z) < 5, `${what}: ${v2} of ${count}`);
}

async function assertAll(version: string, when: string): Promise<void> {
  for (const [what, to] of Object.entries(EVERY))
    assert.deepEqual(await answers(to, 300), { [version]: 300 }, `${what}, ${when}`);
}

/** What the slot gets of each address, and how many wait there. */
function at(
  slot: string,
  { listeners }: PluginStatus,
): { weights: (number | undefined)[]; queues: (number | null | undefined)[] } {
  const own = listeners.map(({ slots }) => slots.find((each) => each.slot === slot));
  return { weights: own.map((each) => each?.weight), queues: own.map((each) => each?.queued) };
}

forEachIsolation('connections for two versions', function () {
  this.timeout(180_000);
  /** The slot that is live at first, which is the one that was last; and the one for another version. */
  let slot: string;
  let other: string;

  beforeEach(async () => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(`/opt/plugin/${NAME}/${version}`, { recursive: true, mode: 0o755 });
      writeFileSync(`/opt/plugin/${NAME}/${version}/main.py`, program(version), { mode: 0o644 });
    }
    declare(NAME, [
      'template: python',
      'version: v1',
      'exec: [/usr/bin/python3, main.py]',
      `listen: [{ tcp: '127.0.0.1:${PORT}' }, { tcp: '[::1]:${PORT}' }, { unix: ${LOCAL.path} }]`,
      'pool: { size: 1 }',
      'health: { ready: exec }',
      'upgrade: { canary: [25%], bake: 10min, drain: 1s }',
    ]);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
    slot = (await status(NAME)).slot;
    other = slot === 'a' ? 'b' : 'a';
  });
  afterEach(async () => {
    await uninstall(NAME);
    rmSync(`/var/lib/bulkhead/live/${NAME}.json`, { force: true });
    assert.deepEqual(
      readdirSync('/run/plugin').filter((file) => file.includes('weighed')),
      [],
    );
  });

  async function weighed(percent: number): Promise<void> {
    await until(`${percent} % for the other slot`, async () => {
      const { weights } = at(other, await status(NAME));
      return weights.join() === [percent, percent, percent === 100 ? 100 : 0].join();
    });
  }

  /** Forced, because somebody may have had it rolled back before. */
  async function promoted(): Promise<void> {
    const {
      status: exit,
      stdout,
      stderr,
    } = await run('bulkheadctl', 'upgrade', NAME, 'v2', '--canary', '100', '--bake', '1s', '--force');
    assert.equal(exit, 0, stdout + stderr);
  }

  it('are shared out by weight, while supervisors die and systemd is executed anew', async () => {
    await assertAll('v1', 'before');
    await must('bulkheadctl', 'upgrade', NAME, 'v2', '--no-wait');
    await weighed(25);
    await assertShare('IPv4', V4, 4000, 25);
    await assertShare('IPv6', V6, 4000, 25);
    assert.deepEqual(await answers(LOCAL, 300), { v1: 300 }, 'a Unix socket has all or nothing');
    const disturbances: { [what: string]: () => Promise<unknown> } = {
      'kill -9': killSupervisor,
      restart: async () => {
        const before = await supervisorPid();
        await systemctl('restart', 'bulkheadd');
        await supervisorBack(before);
      },
      'daemon-reexec': () => systemctl('daemon-reexec'),
    };
    for (const [what, disturb] of Object.entries(disturbances)) {
      let over = false;
      const disturbed = disturb().finally(() => {
        over = true;
      });
      for (let n = 0; n < 2 || !over; n++) await assertShare(`during ${what}`, n % 2 === 0 ? V4 : V6, 1000, 25);
      await disturbed;
      await weighed(25);
      await assertShare(`after ${what}`, V4, 2000, 25);
    }
    await must('bulkheadctl', 'rollback', NAME);
    await weighed(0);
    await assertAll('v1', 'after a rollback');
  });

  it('go on where they did when the fd store was lost', async () => {
    const before = await supervisorPid();
    await systemctl('stop', 'bulkheadd');
    await systemctl('clean', '--what=fdstore', 'bulkheadd');
    await systemctl('start', 'bulkheadd');
    await supervisorBack(before);
    await until('its listeners are there', async () => {
      const { listeners, sandboxes } = await status(NAME);
      return listeners.every(({ kept }) => kept) && sandboxes.length === 1;
    });
    await assertAll('v1', 'after that');
    if (slot === 'a') {
      await promoted();
      await assertAll('v2', 'after a promotion');
    }
  });

  it('go all to the new one once it is live, also after a restart of everything', async () => {
    let over = false;
    const seen: Record<string, number> = {};
    const load = (async () => {
      while (!over)
        for (const to of Object.values(EVERY)) {
          const answer = await ask(to);
          seen[answer] = (seen[answer] ?? 0) + 1;
        }
    })();
    try {
      await promoted();
    } finally {
      over = true;
      await load;
    }
    assert.deepEqual(Object.keys(seen).sort(), ['v1', 'v2'], JSON.stringify(seen));
    await weighed(100);
    await assertAll('v2', 'after the promotion');
    await killSupervisor();
    await assertAll('v2', 'with another supervisor');
    await systemctl('restart', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
    await assertAll('v2', 'after a restart of the plugin');
  });

  it('are answered by the new one when the old one has left them in its queue', async () => {
    const [old] = await untilWhole(NAME, 1);
    process.kill(old?.payloadPid ?? 0, 'SIGUSR1');
    const left = [...Array.from({ length: 5 }, () => ask(V4)), ...Array.from({ length: 5 }, () => ask(V6))];
    const local = ask(LOCAL);
    await until('all wait', async () => {
      const { queues } = at(slot, await status(NAME));
      return queues.join() === [5, 5, 1].join();
    });
    await promoted();
    assert.deepEqual(
      await Promise.all(left),
      Array.from({ length: 10 }, () => 'v2'),
    );
    // Its peer's identity would be lost: it is ended, not answered.
    assert.equal(await local, '');
    await until('they are counted', async () => (await status(NAME)).stragglers === 11);
    await assertAll('v2', 'after that');
    await pause(500);
    await systemctl('stop', `plugin@${NAME}`);
    assert.equal(
      (await run('sh', '-c', `systemctl list-units 'bulkhead-stragglers-*' --no-legend | grep -c running`)).stdout,
      '0\n',
    );
  });
});
