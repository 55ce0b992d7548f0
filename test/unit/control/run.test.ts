import assert from 'node:assert/strict';
import type { FailureCode } from '../../../src/base/failure.ts';
import { Failure } from '../../../src/base/failure.ts';
import { EXIT_STATUS, exitStatusOf } from '../../../src/control/exit-status.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { event, FakeManager, status } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

async function run(line: string, world: FakeWorld) {
  return runCommandLine(line.split(' '), VERBS, world);
}

function worldWith(...statuses: ReturnType<typeof status>[]) {
  const manager = new FakeManager();
  manager.statuses = statuses;
  return { manager, world: new FakeWorld(manager) };
}

describe('bulkheadctl', () => {
  describe('exit status', () => {
    it('is documented for every value that occurs', () => {
      const documented = EXIT_STATUS.map((row) => row.status as number);
      for (const code of ['BH401', 'BH109', 'BH404', 'BH108', 'BH403', 'BH402', 'BH406'] satisfies FailureCode[]) {
        assert.ok(documented.includes(exitStatusOf(code)), code);
      }
    });

    it('tells failures apart', async () => {
      const { manager, world } = worldWith(status('hello'));
      assert.equal(await run('list', world), 0);
      assert.equal(await run('lsit', world), 2);
      assert.equal(await run('status No/Name', world), 2);
      assert.equal(await run('status nobody', world), 4);
      manager.onControl = async () => {
        throw new Failure('BH403', 'org.bulkhead.manage');
      };
      assert.equal(await run('start hello', world), 5);
      manager.onControl = async () => {
        throw new Failure('BH304', 'exit status 3');
      };
      assert.equal(await run('start hello', world), 1);
      assert.equal(await run('list', new FakeWorld()), 69);
    });

    it('of status follows the state', async () => {
      for (const [state, expected] of [
        ['running', 0],
        ['degraded', 0],
        ['starting', 3],
        ['stopped', 3],
        ['failed', 3],
        ['invalid', 3],
      ] as const) {
        assert.equal(await run('status hello', worldWith(status('hello', { state })).world), expected, state);
      }
    });
  });

  it('prints a failure on one line of standard error, with advice and what was meant', async () => {
    const { world } = worldWith(status('hello'), status('retrieval'));
    await run('status retreival', world);
    assert.equal(world.out.text, '');
    assert.equal(
      world.err.text,
      "bulkheadctl: BH404 no such plugin: 'retreival' — did you mean 'retrieval'? \"bulkheadctl list\" names the declared plugins\n",
    );
  });

  it('suggests names from the disk when the supervisor is gone', async () => {
    const world = new FakeWorld();
    world.planOffline = async (name) => {
      throw new Failure('BH404', `'${name}'`);
    };
    assert.equal(await run('plan helo', world), 4);
    assert.match(world.err.text, /did you mean 'hello'/);
  });

  it("prints JSON that is the API's own", async () => {
    const hello = status('hello');
    const { world } = worldWith(hello);
    await run('status hello --json', world);
    assert.deepEqual(JSON.parse(world.out.text), hello);
    world.out.text = '';
    await run('list --json', world);
    assert.deepEqual(JSON.parse(world.out.text), [hello]);
    world.out.text = '';
    await run('status --json', world);
    assert.deepEqual(JSON.parse(world.out.text), { version: '0.1.0', safeMode: null, plugins: [hello] });
  });

  it('escapes what a plugin says about itself', async () => {
    const hello = status('hello', { description: 'a\u001b[2Jb', line: 'x\ny' });
    const { world } = worldWith({
      ...hello,
      sandboxes: hello.sandboxes.map((each) => ({ ...each, statusText: '\u202eevil\r' })),
    });
    await run('status hello', world);
    assert.ok(world.out.text.includes('a\\x1b[2Jb'));
    assert.ok(world.out.text.includes('x\\x0ay'));
    assert.ok(world.out.text.includes('\\u202eevil\\x0d'));
    assert.ok(!world.out.text.includes('\u001b'));
  });

  it('shows the whole of status without a terminal', async () => {
    const { world } = worldWith(
      status('hello', { reason: { code: 'BH304', text: 'exit status 3' }, nextStartMs: 1500 }),
    );
    await run('status hello', world);
    for (const part of [
      '● hello - says hello',
      'State: running, 2/2 ready, slot a, v1',
      'Reason: BH304 exit status 3',
      'Declaration: /etc/bulkhead/plugins/hello.yaml',
      'Listen: 127.0.0.1:8081 (tcp-8081)',
      'Restarts: 0 of 5 within 1min, 0 in all',
      'Next start: in 1s',
      '1073741824-1073807359',
      'plugin-hello-a-g1.service',
      '4711',
      '1min 5s',
      'python (1)',
    ]) {
      assert.ok(world.out.text.includes(part), `${part} in\n${world.out.text}`);
    }
  });

  it('says loudly when a living payload has no filter', async () => {
    const hello = status('hello');
    const bare = { profile: 'python', mode: 0, filters: 0 };
    const { world } = worldWith({ ...hello, sandboxes: hello.sandboxes.map((each) => ({ ...each, seccomp: bare })) });
    await run('status hello', world);
    assert.match(world.out.text, /python: NOT IN FORCE/);
  });

  describe('start, stop, restart', () => {
    it('show the events of the plugin on standard error and the state at the end', async () => {
      const { manager, world } = worldWith(status('hello'));
      manager.ring = [event(1, { text: 'long ago' })];
      manager.onControl = async () => {
        manager.happen(event(2, { kind: 'starting', text: 'first' }), event(3, { plugin: 'other', text: 'not ours' }));
      };
      assert.equal(await run('start hello', world), 0);
      assert.deepEqual(manager.controlled, ['start hello']);
      assert.match(world.err.text, /hello starting: first\n/);
      assert.doesNotMatch(world.err.text, /not ours|long ago/);
      assert.equal(world.out.text, '● hello: running, 2/2 ready, slot a, v1\n');
      assert.equal(manager.watchers.size, 0);
    });

    it('redraw one line on a terminal, and leave nothing of it', async () => {
      const { manager, world } = worldWith(status('hello'));
      world.err.interactive = true;
      world.err.columns = 40;
      manager.onControl = async () => {
        manager.happen(event(1, { kind: 'starting', text: 'a text that is a good deal longer than forty columns' }));
        await new Promise((resolve) => setImmediate(resolve));
        world.clock.advance(2000);
      };
      await run('restart hello', world);
      const drawn = world.err.text.split('\r\u001b[K');
      assert.equal(drawn[0], '');
      assert.ok(drawn[1]?.startsWith('restart hello (0ms): starting: a'));
      assert.ok(drawn.some((line) => line.startsWith('restart hello (2s): starting: a')));
      assert.ok(drawn.every((line) => line.length < 40));
      assert.equal(drawn.at(-1), '');
      assert.equal(world.clock.timers, 0);
    });

    it('clear the line after the last event, however late that is told', async () => {
      const { manager, world } = worldWith(status('hello'));
      world.err.interactive = true;
      const fetch = manager.events.bind(manager);
      manager.events = async (after, limit) => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return fetch(after, limit);
      };
      manager.onControl = async () => manager.happen(event(1, { kind: 'ready', text: 'it is' }));
      await run('start hello', world);
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.match(world.err.text, /ready: it is/);
      assert.ok(world.err.text.endsWith('\r\u001b[K'));
      assert.equal(world.clock.timers, 0);
    });

    it('say that the job may go on when the answer got lost', async () => {
      const { manager, world } = worldWith(status('hello'));
      manager.onControl = async () => {
        throw new Failure('BH501', 'StopPlugin: the bus went away');
      };
      assert.equal(await run('stop hello', world), 1);
      assert.match(world.err.text, /the job may go on — see "bulkheadctl status hello"/);
    });
  });

  describe('plan', () => {
    it('falls back to the declaration when the supervisor does not answer', async () => {
      const world = new FakeWorld();
      assert.equal(await run('plan hello', world), 0);
      assert.match(world.out.text, /not compared: the supervisor does not answer/);
    });

    it('does not fall back when the supervisor refuses', async () => {
      const { manager, world } = worldWith(status('hello'));
      manager.plan = async () => {
        throw new Failure('BH403', 'org.bulkhead.read');
      };
      assert.equal(await run('plan hello', world), 5);
    });
  });

  describe('check', () => {
    it('prints every problem as file:line:column and ends with 1', async () => {
      const world = new FakeWorld();
      const place = { file: '/etc/bulkhead/plugins/x.yaml', line: 3, column: 5 };
      world.checkResult = {
        targets: [
          { target: 'ok', files: ['/a.yaml'], problems: [] },
          {
            target: 'x',
            files: [place.file],
            problems: [{ code: 'BH102', place, message: "unknown key 'lisen'", hint: "did you mean 'listen'?" }],
          },
        ],
      };
      assert.equal(await run('check', world), 1);
      assert.equal(
        world.out.text,
        "ok: ok\n/etc/bulkhead/plugins/x.yaml:3:5: BH102 unknown key 'lisen' (did you mean 'listen'?)\n",
      );
      world.out.text = '';
      assert.equal(await run('check --json', world), 1);
      assert.deepEqual(JSON.parse(world.out.text), world.checkResult);
    });
  });

  describe('logs', () => {
    it('asks journalctl for the slice, the anchor, and what root says about the plugin', async () => {
      const world = new FakeWorld();
      assert.equal(await run('logs my-plugin -f -n 20 --json', world), 0);
      assert.deepEqual(world.ran, [
        'journalctl',
        '--follow',
        '--output=json',
        '--lines=20',
        '_SYSTEMD_SLICE=plugin-my\\x2dplugin.slice',
        '+',
        '_SYSTEMD_UNIT=plugin@my-plugin.service',
        '+',
        'UNIT=plugin@my-plugin.service',
        '_PID=1',
        '+',
        'BULKHEAD_PLUGIN=my-plugin',
        '_UID=0',
      ]);
      world.runStatus = 5;
      assert.equal(await run('logs hello', world), 1);
    });

    it('passes nothing on that is no plugin name', async () => {
      const world = new FakeWorld();
      assert.equal(await run('logs a=b', world), 2);
      assert.deepEqual(world.ran, []);
    });
  });

  it('completes names without the supervisor', async () => {
    const world = new FakeWorld();
    assert.equal(await run('__complete', world), 0);
    assert.equal(world.out.text, 'hello\nretrieval\n');
  });

  it('tells both versions', async () => {
    const world = new FakeWorld();
    assert.equal(await run('version', world), 0);
    assert.match(world.out.text, /^bulkheadctl \d+\.\d+\.\d+\nbulkheadd does not answer\n$/);
  });
});
