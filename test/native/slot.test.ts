import assert from 'node:assert/strict';
import { prepare, tool } from './native-programs.ts';
import { SlotHost, TUNNEL, version } from './slot-host.ts';

const SWITCHES = 2000;
const WAYS = ['beneath', 'tuck'] as const;

describe('plugin-slot', function () {
  this.timeout(180_000);
  let host: SlotHost;

  before(prepare);

  beforeEach(async () => {
    host = new SlotHost();
    await host.open();
  });

  afterEach(() => host.close());

  const done = { status: 0, out: '', err: '' };
  const to = (name: string, ...words: string[]) => host.run(['switch', TUNNEL, version(name), ...words]);

  it('makes a tunnel, mounts versions in it, and clears it', () => {
    assert.deepEqual(host.state(), { live: null, beneath: [] });
    assert.deepEqual(host.run(['prepare', TUNNEL]), done);
    assert.deepEqual(host.state(), { live: null, beneath: [] });
    for (const name of ['v1', 'v2', 'v2', 'v1']) {
      assert.deepEqual(to(name), done);
      assert.deepEqual(host.state(), { live: name, beneath: [] });
      assert.equal(host.shell(`cat ${TUNNEL}/current/x`), `${name}\n`);
    }
    const options = host.shell(`findmnt -n -o OPTIONS ${TUNNEL}/current`).trim().split(',');
    for (const option of ['ro', 'nosuid', 'nodev']) assert.ok(options.includes(option), `${options}`);
    assert.deepEqual(host.run(['clear', TUNNEL]), done);
    assert.deepEqual(host.run(['clear', TUNNEL]), done);
    assert.equal(host.shell('ls -A /run/bulkhead/slot'), '');
  });

  for (const way of WAYS) {
    it(`${way}: a reader sees one version or the other, through ${SWITCHES} switches, and no mount stays behind`, async () => {
      assert.deepEqual(to('v1'), done);
      const reader = await host.follow();
      const words = `--way ${way} ${host.leaders().join(' ')}`;
      host.shell(`for ((i = 0; i < ${SWITCHES / 2}; i++)); do
          $SLOT switch ${TUNNEL} ${version('v2')} ${words}
          $SLOT switch ${TUNNEL} ${version('v1')} ${words}
        done`);
      assert.deepEqual(host.state(), { live: 'v1', beneath: [] });
      assert.deepEqual([host.layers(), reader.layers()], [1, 1]);
      const seen = await reader.end();
      process.stderr.write(`      ${JSON.stringify(seen)}\n`);
      assert.deepEqual([seen.missing, seen.failed, seen.mixed, seen.last], [0, 0, 0, 'v1']);
      assert.ok(seen.changes > 100, `it saw ${seen.changes} changes only`);
    });
  }

  it('does what a plain umount and mount does not: that leaves gaps, which the reader sees', async () => {
    assert.deepEqual(to('v1'), done);
    const reader = await host.follow();
    host.shell(`for ((i = 0; i < 200; i++)); do
        umount -l ${TUNNEL}/current; mount --bind ${version('v2')} ${TUNNEL}/current
        umount -l ${TUNNEL}/current; mount --bind ${version('v1')} ${TUNNEL}/current
      done`);
    const seen = await reader.end();
    process.stderr.write(`      ${JSON.stringify(seen)}\n`);
    assert.ok(seen.missing > 0, 'the reader would not see a gap');
  });

  for (const way of WAYS) {
    for (const wish of ['v2', 'v1', 'v3']) {
      const title = wish === 'v2' ? 'is finished' : wish === 'v1' ? 'is taken back' : 'gives way to another version';
      it(`${way}: a switch that is killed between any two steps ${title}`, async () => {
        assert.deepEqual(to('v1'), done);
        const readers = [await host.follow(), await host.follow()];
        const states = new Set<string>();
        let step = 1;
        for (; step < 100; step++) {
          const words = ['switch', TUNNEL, version('v2'), '--way', way, ...host.leaders()];
          const killed = host.run(words, { SLOT_KILL_AT: String(step) }, tool('test/slot-killed'));
          if (killed.status === 0) break;
          assert.equal(killed.status, 'SIGKILL', killed.err);
          states.add(`${JSON.stringify(host.state())} ${readers.map((reader) => reader.now())}`);
          assert.deepEqual(to(wish, ...host.leaders()), done);
          assert.deepEqual(host.state(), { live: wish, beneath: [] }, `step ${step}`);
          for (const reader of readers) assert.deepEqual([reader.now(), reader.layers()], [wish, 1], `step ${step}`);
          assert.deepEqual(to('v1', ...host.leaders()), done);
        }
        // A clone, its flags, the move and the end of the old one; behind covers more for each reader.
        assert.ok(step > (way === 'beneath' ? 4 : 12) && step < 100, `it ended after ${step} steps`);
        assert.ok(states.size > 1, 'no kill left anything undone');
        for (const reader of readers) {
          const seen = await reader.end();
          assert.deepEqual([seen.missing, seen.failed, seen.mixed], [0, 0, 0]);
        }
      });
    }
  }

  it('is cleared and prepared again after a kill between any two steps of that', () => {
    for (const command of [
      ['clear', TUNNEL],
      ['prepare', TUNNEL],
    ]) {
      let step = 1;
      for (; step < 50; step++) {
        if (command[0] === 'clear') assert.deepEqual(to('v1'), done);
        else assert.deepEqual(host.run(['clear', TUNNEL]), done);
        const killed = host.run(command, { SLOT_KILL_AT: String(step) }, tool('test/slot-killed'));
        assert.deepEqual(host.run(command), done);
        assert.deepEqual(host.state(), { live: null, beneath: [] });
        if (killed.status === 0) break;
      }
      assert.ok(step > 2 && step < 50, `it ended after ${step} steps`);
    }
  });

  it('lets who begins during switches see one version whole', async () => {
    assert.deepEqual(to('v1'), done);
    const switching = host.shell.bind(host);
    const readers = [];
    for (let round = 0; round < 20; round++) {
      const reader = host.follow();
      switching(`for i in 1 2 3 4 5; do
          $SLOT switch ${TUNNEL} ${version('v2')}; $SLOT switch ${TUNNEL} ${version('v1')}
        done`);
      readers.push(await reader);
    }
    assert.deepEqual(to('v2'), done);
    for (const reader of readers) {
      assert.deepEqual([reader.now(), reader.layers()], ['v2', 1]);
      const seen = await reader.end();
      assert.deepEqual([seen.missing, seen.failed, seen.mixed], [0, 0, 0]);
    }
  });

  it('can do without the version that is not live any more, and with one of the same name that is new', async () => {
    assert.deepEqual(to('v1'), done);
    const reader = await host.follow();
    assert.deepEqual(to('v2'), done);
    host.shell(`rm -r ${version('v1')}; mkdir ${version('v1')}; echo v1b | tee ${version('v1')}/x >${version('v1')}/y`);
    assert.equal(reader.now(), 'v2');
    assert.deepEqual(to('v1'), done);
    assert.equal(reader.now(), 'v1b');
    host.shell(`rm -r ${version('v1')}; mkdir ${version('v1')}; echo v1c | tee ${version('v1')}/x >${version('v1')}/y`);
    assert.deepEqual(to('v1'), done);
    assert.deepEqual([reader.now(), reader.layers()], ['v1c', 1]);
  });

  const prepared = (script: string, name: string) => {
    host.shell(script);
    return to(name);
  };
  const refusals: [string, () => ReturnType<SlotHost['run']>, number, RegExp][] = [
    ['a tunnel elsewhere', () => host.run(['prepare', '/run/bulkhead/other/x/a']), 2, /is no tunnel$/],
    ['a tunnel of no slot', () => host.run(['prepare', '/run/bulkhead/slot/x/c']), 2, /is no tunnel$/],
    ['a way out of the tunnels', () => host.run(['prepare', '/run/bulkhead/slot/../a']), 2, /is no tunnel$/],
    ['a directory elsewhere', () => host.run(['switch', TUNNEL, '/etc']), 1, /^'\/etc' is no version of 'x'$/],
    ["another plugin's version", () => host.run(['switch', TUNNEL, '/opt/plugin/y/v1']), 1, /is no version of 'x'$/],
    ['a way out of the versions', () => host.run(['switch', TUNNEL, '/opt/plugin/x/..']), 1, /is no version of 'x'$/],
    ['a version that is not there', () => to('v9'), 1, /^cannot open '.*v9': No such file/],
    ['a version that is a link', () => prepared(`ln -s v1 ${version('v4')}`, 'v4'), 1, /Too many levels of symb/],
    ['a version that is a file', () => prepared(`touch ${version('v5')}`, 'v5'), 1, /Not a directory$/],
    [
      'a tunnel that is a link',
      () => prepared('mkdir -p /run/bulkhead/slot/x; ln -s /tmp /run/bulkhead/slot/x/a', 'v1'),
      1,
      /^cannot make '.*': (Not a directory|Too many)/,
    ],
    [
      'a tunnel that others may change',
      () => prepared(`mkdir -p ${TUNNEL}; chmod 777 ${TUNNEL}`, 'v1'),
      1,
      /^cannot make '.*': Operation not permitted$/,
    ],
    [
      'a tunnel that no sandbox would follow',
      () => prepared('mount --make-private /run', 'v1'),
      1,
      /is not on a shared mount: no sandbox would see/,
    ],
    ['a way that it does not know', () => to('v1', '--way', 'over'), 2, /^usage: /],
    ['a leader that is no number', () => to('v1', '--leader', '1x'), 2, /^usage: /],
    ['no version', () => host.run(['switch', TUNNEL]), 2, /^usage: /],
    ['too much', () => host.run(['state', TUNNEL, 'x']), 2, /^usage: /],
  ];
  for (const [what, attempt, status, message] of refusals) {
    it(`refuses ${what}`, () => {
      const told = attempt();
      assert.equal(told.status, status, told.err);
      assert.match(told.err.split('\n')[0] ?? '', message);
      assert.equal(host.layers(), 0);
    });
  }

  it('takes a process that is no sandbox of the tunnel for one that has gone', async () => {
    assert.deepEqual(to('v1', '--leader', '4194303', '--leader', String(process.pid)), done);
    const reader = await host.follow();
    const words = ['--way', 'tuck', '--leader', String(process.pid), ...host.leaders()];
    assert.deepEqual(to('v2', ...words), done);
    assert.deepEqual([reader.now(), reader.layers()], ['v2', 1]);
  });
});
