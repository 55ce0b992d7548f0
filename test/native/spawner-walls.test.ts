import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, scratch, stateOf, statusField } from './native-programs.ts';
import { ID_BASE, SpawnerHost } from './spawner-host.ts';

describe('a box of plugin-spawner, from inside', function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  let host: SpawnerHost;
  before(prepare);
  beforeEach(async () => {
    place = scratch();
    host = new SpawnerHost(place.path);
    await host.start();
  });
  afterEach(async () => {
    await host.stop();
    place.remove();
  });

  const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  it('has these mounts and no others, none of them tied to one outside', async () => {
    const told = await host.shell('cat /proc/self/mountinfo', { options: ['--tmpfs', '/dev/shm', '65536', '1777'] });
    const mounts = new Map<string, { flags: string[]; type: string }>();
    for (const line of told.trim().split('\n')) {
      const [left = '', right = ''] = line.split(' - ');
      const [, , , , target = '', flags = '', ...ties] = left.split(' ');
      assert.deepEqual(ties, [], line);
      assert.ok(!mounts.has(target), `${target} twice`);
      mounts.set(target, { flags: flags.split(','), type: right.split(' ')[0] ?? '' });
      assert.ok(flags.includes('nosuid'), line);
      if (!/^\/dev\//.test(target) || target === '/dev/shm') assert.ok(flags.includes('nodev'), line);
    }
    const writable = [...mounts].filter(([, { flags }]) => flags.includes('rw')).map(([target]) => target);
    assert.deepEqual(writable.sort(), ['/dev/shm', '/proc', '/run', '/tmp']);
    const others = [...mounts.keys()].filter((target) => !target.startsWith('/proc/'));
    const devices = ['full', 'null', 'random', 'shm', 'tty', 'urandom', 'zero'].map((name) => `/dev/${name}`);
    assert.deepEqual(others.sort(), [
      '/',
      '/dev',
      ...devices,
      '/plugin',
      '/proc',
      '/run',
      '/run/plugin-init',
      '/sys',
      '/sys/fs/cgroup',
      '/tmp',
      '/usr',
    ]);
    for (const target of ['/proc/sys', '/proc/sys/kernel/random/boot_id']) assert.ok(mounts.has(target), target);
  });

  it('covers what /proc tells of the host', async () => {
    const hidden = [
      'kallsyms',
      'keys',
      'key-users',
      'kmsg',
      'kcore',
      'sysrq-trigger',
      'timer_list',
      'slabinfo',
      'iomem',
    ];
    const directories = ['acpi', 'asound', 'bus', 'driver', 'fs', 'irq', 'scsi', 'tty'];
    const script = [
      `for name in ${hidden.join(' ')}; do test ! -e /proc/$name || cat /proc/$name >/dev/null 2>&1 && echo open $name; done`,
      `for name in ${hidden.join(' ')}; do test ! -e /proc/$name || echo x 2>/dev/null >/proc/$name && echo writable $name; done`,
      `for name in ${directories.join(' ')}; do ls /proc/$name 2>/dev/null; done`,
      'echo x 2>/dev/null >/proc/sys/kernel/core_pattern && echo writable core_pattern',
      'cat /proc/sys/kernel/random/boot_id',
    ];
    // Of what this kernel does not have, `test` says so.
    const absent = hidden.filter((name) => {
      try {
        return !statSync(`/proc/${name}`).isFile();
      } catch {
        return true;
      }
    });
    const told = (await host.shell(script.join('\n'))).trim().split('\n');
    const id = told.pop() ?? '';
    assert.deepEqual(
      told.filter((line) => line !== ''),
      [...absent.map((name) => `open ${name}`), ...absent.map((name) => `writable ${name}`)],
    );
    assert.match(id, UUID);
    assert.notEqual(id, readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
    const other = (await host.shell('cat /proc/sys/kernel/random/boot_id')).trim();
    assert.match(other, UUID);
    assert.notEqual(other, id);
  });

  it('is alone with its processes, its name and its loopback', async () => {
    const script =
      'hostname; ip -o link | wc -l; ip -o link; ls -d /proc/[0-9]*; cat /sys/fs/cgroup/cgroup.procs; ls /sys /sys/fs /dev';
    const told = (await host.shell(script)).trim().split('\n');
    assert.equal(told.shift(), 'x-a-g1');
    assert.equal(told.shift(), '1');
    assert.match(told.shift() ?? '', /^1: lo: <LOOPBACK,UP/);
    const pids = told.filter((line) => line.startsWith('/proc/'));
    assert.ok(pids.length >= 2 && pids.length <= 3 && pids.includes('/proc/1'), `${pids}`);
    const rest = told.filter((line) => !line.startsWith('/proc/')).join(' ');
    assert.match(
      rest,
      /^1 2( \d+)? \/dev: fd full null random stderr stdin stdout tty urandom zero {2}\/sys: fs {2}\/sys\/fs: cgroup$/,
    );
  });

  it('can write nothing but its tmpfs, and not more of that than its size', async () => {
    const script = [
      'for place in / /run /dev /sys /sys/fs/cgroup /usr /plugin /etc /proc; do touch $place/x 2>/dev/null && echo $place; done',
      'mkdir /sys/fs/cgroup/x 2>/dev/null && echo cgroup',
      'echo 1 2>/dev/null >/sys/fs/cgroup/cgroup.procs && echo moved',
      'head -c 2000000 /dev/zero >/tmp/big 2>/dev/null || stat -c %s /tmp/big',
      'echo discarded >/dev/null && stat -c "%a %u %g" /tmp /run',
    ];
    assert.equal(await host.shell(script.join('\n')), '1048576\n1777 0 0\n755 0 0\n');
  });

  it('gives init its four capabilities and the declared ones, and nothing of the spawner', async () => {
    const words = host.words({ options: ['--cap', 'CAP_NET_BIND_SERVICE'] });
    const state = stateOf(
      await host.told({ words: [...words.slice(0, words.indexOf('--')), '--', '/plugin/probe', 'state'] }),
    );
    for (const [set, value] of Object.entries({ CapInh: 0, CapPrm: 0x5e0, CapEff: 0x5e0, CapBnd: 0x5e0, CapAmb: 0 }))
      assert.equal(Number.parseInt(statusField(state, set) ?? '', 16), value, set);
    assert.equal(statusField(state, 'NoNewPrivs'), '1');
    assert.equal(statusField(state, 'Seccomp'), '0');
    assert.match(statusField(state, 'Uid') ?? '', /^0\t0\t0\t0$/);
    assert.equal(statusField(state, 'Groups'), '');
    assert.equal(statusField(state, 'Umask'), '0022');
    assert.deepEqual(state.get('env'), ['LISTEN_FDS=2', 'LISTEN_PID=1']);
    assert.deepEqual(state.get('ids'), ['1 0']);
    assert.deepEqual(state.get('session'), ['1']);
    assert.deepEqual(state.get('cwd'), ['/']);
    assert.deepEqual(state.get('oom'), ['1000']);
    assert.deepEqual(
      state.get('fd')?.map((line) => line.replace(/(pipe|socket):.*/, '$1').replace(/\/\S*\/open/, 'open')),
      ['0 open /dev/null', '1 open socket', '2 open socket', '3 open pipe', '4 open open.bpf'],
    );
  });

  it('cannot lower its score of the OOM killer', async () => {
    // Without CAP_SYS_RESOURCE, root of this host could not keep anybody from it.
    const effective = /^CapEff:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
    const may = (BigInt(`0x${effective}`) >> 24n) & 1n;
    const told = await host.shell('echo 0 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj');
    assert.match(told, may === 1n ? /Permission denied[\s\S]*\n1000\n$/ : /^0\n$/);
  });

  it('writes into a writable directory as who it is, and cannot execute from there', async () => {
    const state = join(place.path, 'state');
    mkdirSync(state);
    chownSync(state, 1000, 1001);
    chmodSync(state, 0o700);
    writeFileSync(join(state, 'theirs'), 'of root', { mode: 0o600 });
    const script = [
      'cd /opt; id -u; stat -c "%u %g" .; echo text >mine; cat theirs',
      'printf "#!/usr/bin/bash\\necho ran\\n" >run; chmod 4755 run; ./run',
      'stat -c "%u %g %a" mine run theirs; mkdir sub',
    ];
    const told = await host.shell(`exec 2>&1\n${script.join('\n')}`, { options: ['--bind', state, '/opt'] });
    assert.match(
      told,
      /^1000\n1000 1001\ncat: theirs: Permission denied\n.*run: Permission denied\n1000 1001 644\n1000 1001 4755\n0 0 600\n$/,
    );
    const made = statSync(join(state, 'mine'));
    assert.deepEqual([made.uid, made.gid], [1000, 1001]);
    assert.equal(statSync(join(state, 'sub')).uid, 1000);
  });

  it('has one file of its own ids to write to, and nothing else by it', async () => {
    const page = join(place.path, 'page');
    writeFileSync(page, 'zeros', { mode: 0o600 });
    chownSync(page, ID_BASE + 1000, ID_BASE + 1001);
    const script = [
      'stat -c "%u %g %a" /run/page; echo text >>/run/page; chmod 4755 /run/page; /run/page',
      'rm /run/page; mv /tmp /run/page; ln /run/page /tmp/page',
      'grep " /run/page " /proc/self/mountinfo | cut -d " " -f 6',
    ];
    const told = await host.shell(`exec 2>&1\n${script.join('\n')}`, { options: ['--bind-file', page, '/run/page'] });
    assert.match(
      told,
      /^1000 1001 600\n.*Permission denied\nrm: .*denied\nmv: .*\nln: .*cross-device link\nrw,nosuid,nodev,noexec,/,
    );
    assert.equal(readFileSync(page, 'utf8'), 'zerostext\n');
  });

  it('sees what was mounted on the host after the spawner began, read-only, but not in a writable directory', async () => {
    const source = join(place.path, 'source');
    mkdirSync(join(source, 'sub'), { recursive: true });
    chmodSync(source, 0o777);
    const daemon = String(await host.daemon.innerPid());
    execFileSync('nsenter', [
      '-t',
      daemon,
      '-m',
      'mount',
      '-t',
      'tmpfs',
      '-o',
      'mode=777',
      'tmpfs',
      join(source, 'sub'),
    ]);
    execFileSync('nsenter', ['-t', daemon, '-m', 'touch', join(source, 'sub', 'new')]);
    const script = 'ls /opt/sub; touch /opt/sub/x; ls /home/sub; touch /home/sub/y; touch /home/z && ls /home';
    const options = ['--bind-ro', source, '/opt', '--bind', source, '/home'];
    const told = await host.shell(`exec 2>&1; ${script}`, { options });
    assert.match(
      told,
      /^new\ntouch: .*\/opt\/sub\/x.*Read-only file system\ntouch: .*\/home\/sub\/y.*Permission denied\nsub\nz\n$/,
    );
  });

  it('has declared devices', async () => {
    const script = 'exec 2>&1; head -c 3 /dev/nothing | od -An -c; chmod 600 /dev/nothing; stat -c %F /dev/nothing';
    const told = await host.shell(script, { options: ['--device', '/dev/zero', '/dev/nothing'] });
    assert.match(
      told,
      /^ {2}\\0 {2}\\0 {2}\\0\nchmod: .*(Read-only file system|not permitted)\ncharacter special file\n$/,
    );
  });
});
