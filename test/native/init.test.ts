import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listenTcp, openProcess, queueSignal } from '../../src/kernel/native.ts';
import {
  compileFilter,
  messages,
  openFilter,
  payload,
  prepare,
  type Running,
  scratch,
  startInit,
  startSink,
  stateOf,
  statusField,
} from './native-programs.ts';

/** What init takes for a reload of the program; native/init/supervise.c. */
const RELOAD_SIGNAL = 38;

describe('plugin-init', function () {
  this.timeout(20_000);
  let place: ReturnType<typeof scratch>;
  const running: Running[] = [];
  before(prepare);
  beforeEach(() => {
    place = scratch();
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    place.remove();
  });

  const probe = () => payload('probe');
  function start(given: Partial<Parameters<typeof startInit>[0]> & { command: readonly string[] }): Running {
    const started = startInit({ directory: place.path, ...given });
    running.push(started);
    return started;
  }

  describe('tells how the payload ended', () => {
    const cases = [
      { what: ['exit', '0'], code: 0, how: 'exited', status: 0 },
      { what: ['exit', '3'], code: 3, how: 'exited', status: 3 },
      { what: ['exit', '139'], code: 139, how: 'exited', status: 139 },
      { what: ['segv'], code: 139, how: /^(killed|dumped)$/, status: 11 },
      { what: ['thread-segv'], code: 139, how: /^(killed|dumped)$/, status: 11 },
      { what: ['abort'], code: 134, how: /^(killed|dumped)$/, status: 6 },
      { what: ['kill', '9'], code: 137, how: 'killed', status: 9 },
      { what: ['kill', '15'], code: 143, how: 'killed', status: 15 },
    ];
    for (const { what, code, how, status } of cases) {
      it(`${what.join(' ')} as ${code}`, async () => {
        const init = start({ command: [probe(), ...what] });
        assert.equal(await init.ended, code, init.err);
        assert.deepEqual(init.events(), ['started', 'ready', 'exit']);
        const exit = init.report('exit');
        assert.equal(exit?.status, status);
        assert.match(String(exit?.how), typeof how === 'string' ? new RegExp(`^${how}$`) : how);
        assert.equal(exit?.lost, 0);
        assert.ok(Number(exit?.maxrssKb) > 0);
        for (const field of ['userUsec', 'systemUsec']) assert.ok(Number.isInteger(exit?.[field]));
        // The shell of the test had some before.
        assert.ok(Number(init.report('started')?.pid) >= 2);
      });
    }
  });

  describe('a forbidden call', () => {
    const ptrace = '101';
    const cases: { who: string; what: string; tid: 'own' | 'other'; pid: 'main' | 'other' }[] = [
      { who: 'of the main process', what: 'call', tid: 'own', pid: 'main' },
      { who: 'of a second thread', what: 'thread-call', tid: 'other', pid: 'main' },
      { who: 'of a child in another session', what: 'child-call', tid: 'own', pid: 'other' },
      { who: 'of an orphan', what: 'orphan-call', tid: 'own', pid: 'other' },
      { who: 'amid a storm of forks', what: 'fork-storm', tid: 'own', pid: 'main' },
    ];
    for (const { who, what, tid, pid } of cases) {
      it(`${who} is named, and ends the whole payload as 134`, async () => {
        const init = start({ command: [probe(), what, ptrace], filter: compileFilter(place.path, 'native') });
        assert.equal(await init.ended, 134, init.out + init.err);
        const events = init.events().filter((event) => event !== 'ready');
        assert.deepEqual(events, ['started', 'forbidden', 'exit']);
        const call = init.report('forbidden');
        assert.equal(call?.call, 'ptrace');
        assert.equal(call?.number, Number(ptrace));
        assert.equal(call?.tid === call?.pid, tid === 'own');
        assert.equal(call?.pid === init.report('started')?.pid, pid === 'main');
        assert.equal(init.report('exit')?.how, 'killed');
        assert.equal(init.report('exit')?.status, 31);
        assert.equal(init.out, '');
      });
    }

    it('that is interrupted again and again is never executed, and ends the payload all the same', async () => {
      for (const microseconds of ['20', '30', '50', '80', '130']) {
        const init = start({
          command: [probe(), 'evade', ptrace, microseconds],
          filter: compileFilter(place.path, 'native'),
        });
        assert.equal(await init.ended, 134, init.out + init.err);
        // Not one of them gave anything but EINTR.
        assert.equal(init.out, '');
        assert.match(String(init.report('forbidden')?.call), /^(ptrace|unknown)$/);
      }
    });

    it('of a thread whose process executes another program at that moment ends the payload', async () => {
      const filter = compileFilter(place.path, 'native');
      for (let i = 0; i < 40; i++) {
        const init = start({ command: [probe(), 'race-exec', ptrace, String(i < 30 ? i * 100 : 1_000_000)], filter });
        const code = await init.ended;
        // The thread may have been ended by the other before it made its call.
        const called = init.report('forbidden') !== undefined;
        assert.equal(code, called || i >= 30 ? 134 : 0, `${i} ${init.out} ${init.err}`);
      }
    });

    it('ends the payload where init is not PID 1, and nobody else', async () => {
      const init = start({
        command: [probe(), 'thread-call', ptrace],
        filter: compileFilter(place.path, 'native'),
        notPid1: true,
      });
      assert.equal(await init.ended, 134, init.out + init.err);
      assert.equal(init.report('forbidden')?.call, 'ptrace');
    });

    it('is not reported of a payload that ends by itself', async () => {
      for (const what of [['exit', '0'], ['segv'], ['orphans', '3']]) {
        const init = start({ command: [probe(), ...what], filter: compileFilter(place.path, 'native') });
        await init.ended;
        assert.equal(init.report('forbidden'), undefined, what.join(' '));
      }
    });
  });

  it('gives the payload exactly what was declared', async () => {
    const one = listenTcp({ host: '127.0.0.1', port: 0, backlog: 5, reusePort: false });
    const two = listenTcp({ host: '::1', port: 0, backlog: 5, reusePort: false });
    const stray = openSync('/etc/hostname', 'r');
    try {
      const init = start({
        command: [probe(), 'state', 'an argument', ''],
        options: [
          '--listen=http',
          '--listen=tcp-6',
          '--env=PATH=/usr/bin',
          '--env=EMPTY=',
          '--env=WITH=a=b c',
          '--chdir=/usr',
          '--nofile=333',
          '--memory-lock=65536',
          '--core=0',
        ],
        descriptors: [one, two, stray],
        filter: compileFilter(place.path, 'native'),
      });
      assert.equal(await init.ended, 0, init.err);
      const state = stateOf(init.out);
      const pid = init.report('started')?.pid;
      assert.deepEqual(state.get('env'), [
        'PATH=/usr/bin',
        'EMPTY=',
        'WITH=a=b c',
        'LISTEN_FDNAMES=http:tcp-6',
        'LISTEN_FDS=2',
        `LISTEN_PID=${pid}`,
      ]);
      assert.deepEqual(state.get('arg'), [probe(), 'state', 'an argument', '']);
      const fds = state.get('fd')?.map((line) => line.replace(/\[\d+\]/, ''));
      assert.deepEqual(
        fds?.map((line) => line.split(' ').slice(0, 2).join(' ')),
        ['0 open', '1 open', '2 open', '3 open', '4 open'],
      );
      assert.deepEqual(fds?.slice(3), ['3 open socket:', '4 open socket:']);
      assert.deepEqual(state.get('nofile'), ['333 333']);
      assert.deepEqual(state.get('memlock'), ['65536 65536']);
      assert.deepEqual(state.get('core'), ['0 0']);
      assert.deepEqual(state.get('cwd'), ['/usr']);
      assert.deepEqual(state.get('oom'), ['1000']);
      assert.deepEqual(state.get('ids'), [`${pid} 1`]);
      assert.deepEqual(state.get('session'), [`${pid}`]);
      assert.equal(statusField(state, 'Uid'), '1000\t1000\t1000\t1000');
      assert.equal(statusField(state, 'Gid'), '1001\t1001\t1001\t1001');
      assert.equal(statusField(state, 'Groups'), '');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.equal(statusField(state, set), '0000000000000000', set);
      assert.equal(statusField(state, 'NoNewPrivs'), '1');
      assert.equal(statusField(state, 'Seccomp'), '2');
      assert.equal(statusField(state, 'Seccomp_filters'), '1');
      for (const set of ['SigBlk', 'SigIgn', 'SigPnd']) assert.equal(statusField(state, set), '0000000000000000', set);
    } finally {
      for (const fd of [one, two, stray]) closeSync(fd);
    }
  });

  it('has no LISTEN_ variables without listeners, and an empty environment if none is declared', async () => {
    const init = start({ command: [probe(), 'state'] });
    assert.equal(await init.ended, 0, init.err);
    assert.equal(stateOf(init.out).get('env'), undefined);
  });

  it('leaves declared capabilities in all five sets, and no others', async () => {
    const init = start({ command: [probe(), 'state'], options: ['--cap=CAP_NET_BIND_SERVICE', '--cap=CAP_SYS_NICE'] });
    assert.equal(await init.ended, 0, init.err);
    const state = stateOf(init.out);
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
      assert.equal(statusField(state, set), '0000000000800400', set);
  });

  it('gives up its own privileges', async () => {
    const init = start({ command: [probe(), 'sleep', '10000'] });
    await init.until('ready', () => init.report('ready') !== undefined);
    const status = readFileSync(`/proc/${await init.innerPid()}/status`, 'utf8');
    for (const [set, value] of Object.entries({
      CapInh: 0,
      CapPrm: 0x20,
      CapEff: 0x20,
      CapBnd: 0,
      CapAmb: 0,
      NoNewPrivs: 1,
    }))
      assert.equal(Number.parseInt(new RegExp(`^${set}:\\s*(\\w+)$`, 'm').exec(status)?.[1] ?? 'none', 16), value, set);
  });

  it('shows by its name that it is ready, and not before', async () => {
    const init = start({ command: [probe(), 'notify', 'STATUS=wait', 'READY=1'], options: ['--ready=notify'] });
    const name = `/proc/${await init.innerPid()}/comm`;
    await init.until('status', () => init.report('status') !== undefined);
    await init.until('name', () => readFileSync(name, 'utf8') === 'plugin-ready\n');
    assert.equal(await init.ended, 0, init.err);

    const early = start({ command: [probe(), 'sleep', '10000'], options: ['--ready=notify'] });
    await early.until('start', () => early.report('started') !== undefined);
    assert.equal(readFileSync(`/proc/${await early.innerPid()}/comm`, 'utf8'), 'plugin-init\n');
  });

  it('finds a program in the PATH that is declared', async () => {
    const init = start({
      command: ['probe', 'exit', '7'],
      options: [`--env=PATH=/nonexistent::relative:/etc/passwd:${join(probe(), '..')}`],
    });
    assert.equal(await init.ended, 7, init.err);
  });

  describe('runs nothing and says why when a step fails:', () => {
    const cases: {
      step: string;
      errno?: number;
      error?: RegExp;
      given?: Partial<Parameters<typeof startInit>[0]>;
      prepare?: () => Partial<Parameters<typeof startInit>[0]>;
    }[] = [
      { step: 'options', error: /'--what'/, given: { options: ['--what=1'] } },
      { step: 'options', error: /'--uid'/, given: { options: ['--uid=0'] } },
      { step: 'options', error: /'--uid'/, given: { options: ['--uid=4294967295'] } },
      { step: 'options', error: /'--gid'/, given: { options: ['--gid=-1'] } },
      { step: 'options', error: /'--cap'/, given: { options: ['--cap=CAP_ALL'] } },
      { step: 'options', error: /'--stop-signal'/, given: { options: ['--stop-signal=0'] } },
      { step: 'options', error: /'--env'/, given: { options: ['--env=LISTEN_PID=1'] } },
      { step: 'options', error: /'--env'/, given: { options: ['--env=A=1', '--env=A=2'] } },
      { step: 'options', error: /'--env'/, given: { options: ['--env=NOVALUE'] } },
      { step: 'options', error: /'--listen'/, given: { options: ['--listen=a:b'] } },
      { step: 'options', error: /'--chdir'/, given: { options: ['--chdir=relative'] } },
      { step: 'options', error: /'--ready'/, given: { options: ['--ready=maybe'] } },
      { step: 'options', error: /program/, given: { command: [] } },
      { step: 'descriptors', errno: 9, given: { options: ['--listen=http'] } },
      { step: 'descriptors', errno: 77, given: { environment: { LISTEN_FDS: '3' } } },
      { step: 'filter', errno: 22, prepare: () => ({ filter: sized(0) }) },
      { step: 'filter', errno: 22, prepare: () => ({ filter: sized(12) }) },
      { step: 'filter', errno: 27, prepare: () => ({ filter: sized(8 * 4097) }) },
      { step: 'seccomp', errno: 22, prepare: () => ({ filter: sized(8) }) },
      { step: 'notify', errno: 98, given: { options: ['--ready=notify'], before: 'touch /run/notify' } },
      { step: 'oom-score', errno: 2, given: { before: 'mount -t tmpfs tmpfs /proc' } },
      { step: 'limits', errno: 1, given: { options: ['--nofile=1000'], before: 'ulimit -n 500; drop=sys_resource' } },
      { step: 'limits', errno: 1, given: { options: ['--core=1'], before: 'ulimit -c 0; drop=sys_resource' } },
      {
        step: 'limits',
        errno: 1,
        given: { options: ['--memory-lock=infinity'], before: 'ulimit -l 64; drop=sys_resource' },
      },
      { step: 'options', error: /'--core'/, given: { options: ['--core=-1'] } },
      { step: 'options', error: /'--memory-lock'/, given: { options: ['--memory-lock=64K'] } },
      { step: 'init-privileges', errno: 1, given: { before: 'drop=setpcap' } },
      { step: 'groups', errno: 1, given: { before: 'drop=setgid' } },
      { step: 'uid', errno: 1, given: { before: 'drop=setuid' } },
      { step: 'capabilities', errno: 1, given: { options: ['--cap=CAP_SYS_TIME'], before: 'drop=sys_time' } },
      { step: 'init-privileges', errno: 1, given: { before: 'drop=kill' } },
      { step: 'chdir', errno: 2, given: { options: ['--chdir=/nonexistent'] } },
      { step: 'exec', errno: 2, given: { command: ['/nonexistent'] } },
      { step: 'exec', errno: 2, given: { command: ['nonexistent'], options: ['--env=PATH=/usr/bin:/bin'] } },
      { step: 'exec', errno: 2, given: { command: ['true'] } },
      { step: 'exec', errno: 13, given: { command: ['/etc/passwd'] } },
      { step: 'exec', errno: 13, given: { command: ['passwd'], options: ['--env=PATH=/etc:/nonexistent'] } },
      { step: 'exec', errno: 8, prepare: () => ({ command: [text('garbage', 'no program')] }) },
    ];
    function sized(bytes: number): string {
      const file = join(place.path, 'sized.bpf');
      writeFileSync(file, '');
      truncateSync(file, bytes);
      return file;
    }
    function text(name: string, content: string): string {
      const file = join(place.path, name);
      writeFileSync(file, content, { mode: 0o755 });
      return file;
    }
    for (const one of cases) {
      const words = [...(one.given?.options ?? []), ...(one.given?.command ?? []), one.given?.before ?? ''].join(' ');
      it(`${one.step} ${words} ${one.errno ?? ''}`.trim(), async () => {
        const marker = join(place.path, 'ran');
        const given = { command: ['/usr/bin/touch', marker], ...one.given, ...one.prepare?.() };
        // Takes a capability away from init: it is not inherited through exec if it is not in the bounding set.
        const drop = /drop=(\w+)/.exec(given.before ?? '');
        const before =
          drop === null
            ? given.before
            : (given.before ?? '').replace(drop[0], `set -- setpriv --bounding-set=-${drop[1]} "$@"`);
        const init = start(before === undefined ? given : { ...given, before });
        assert.equal(await init.ended, 70, init.err);
        assert.deepEqual(init.events(), ['setup-failed'], init.err);
        const report = init.report('setup-failed');
        assert.equal(report?.step, one.step);
        if (one.errno !== undefined) assert.equal(report?.errno, one.errno);
        if (one.error !== undefined) assert.match(String(report?.error), one.error);
        assert.match(init.err, new RegExp(`set-up failed at '${one.step}'`));
        assert.throws(() => readFileSync(marker), { code: 'ENOENT' });
      });
    }
  });

  it('refuses to run without a report pipe', async () => {
    const init = start({ command: ['/usr/bin/echo', 'ran'], before: 'exec 3>&-' });
    assert.equal(await init.ended, 70);
    assert.match(init.err, /report pipe/);
    assert.equal(init.out, '');
  });

  it('ends with the payload although nobody reads the reports any more', async () => {
    const init = start({ command: [probe(), 'sleep', '300'] });
    await init.until('ready', () => init.report('ready') !== undefined);
    init.closeReports();
    assert.equal(await init.ended, 0);
  });

  it('works without being PID 1', async () => {
    const init = start({ command: [probe(), 'exit', '5'], notPid1: true });
    assert.equal(await init.ended, 5, init.err);
  });

  describe('readiness', () => {
    it('is told to systemd once the payload runs (exec)', async () => {
      const sink = await startSink(join(place.path, 'systemd'));
      running.push(sink);
      const init = start({
        command: [probe(), 'sleep', '300'],
        environment: { NOTIFY_SOCKET: join(place.path, 'systemd') },
      });
      assert.equal(await init.ended, 0, init.err);
      assert.deepEqual(messages(sink), ['READY=1']);
    });

    it('is told when the payload says so (notify), once; nothing else of it gets out', async () => {
      const sink = await startSink(join(place.path, 'systemd'));
      running.push(sink);
      const said = ['MAINPID=1\\nSTOPPING=1\\nREADY=0\\nREADY=11', 'STATUS=half\\nREADY=1\\nWATCHDOG=1', 'READY=1'];
      const init = start({
        command: [probe(), 'notify', ...said],
        options: ['--ready=notify'],
        environment: { NOTIFY_SOCKET: join(place.path, 'systemd') },
        filter: compileFilter(place.path, 'native'),
      });
      assert.equal(await init.ended, 0, init.err);
      assert.deepEqual(messages(sink), ['READY=1']);
      assert.equal(init.events().filter((event) => event === 'ready').length, 1);
      assert.equal(init.report('status')?.text, 'half');
    });

    it('is not there before the payload says so', async () => {
      const init = start({ command: [probe(), 'notify', 'STATUS=not yet'], options: ['--ready=notify'] });
      assert.equal(await init.ended, 0, init.err);
      assert.deepEqual(init.events(), ['started', 'status', 'exit']);
    });

    it('is told again until systemd hears it', async () => {
      const path = join(place.path, 'systemd');
      const init = start({ command: [probe(), 'sleep', '1500'], environment: { NOTIFY_SOCKET: path } });
      await init.until('start', () => init.report('started') !== undefined);
      await new Promise((settle) => setTimeout(settle, 120));
      assert.equal(init.report('ready'), undefined);
      const sink = await startSink(path);
      running.push(sink);
      await init.until('ready', () => init.report('ready') !== undefined);
      await sink.until('message', () => messages(sink).includes('READY=1'));
    });

    it('status texts are cleaned and cut at 256 bytes, whole characters only', async () => {
      const init = start({
        command: [
          probe(),
          'notify',
          'STATUS=a\\x1b[31m"quoted\\\\" \\xff\\xc3\\xa4 \\x00 \\xc2\\x85',
          `STATUS=${'ä'.repeat(200)}`,
        ],
        options: ['--ready=notify'],
      });
      assert.equal(await init.ended, 0, init.err);
      const texts = init.reports.filter((report) => report.event === 'status').map((report) => String(report.text));
      assert.equal(texts.at(-1), 'ä'.repeat(128));
      if (texts.length > 1) assert.equal(texts[0], 'a?[31m"quoted\\\\" ?ä ? ??');
    });

    it('a flood of messages costs no other report and no signal', async () => {
      const init = start({ command: [probe(), 'notify-flood', '1000'], options: ['--ready=notify'] });
      await init.until('start', () => init.report('started') !== undefined);
      process.kill(await init.innerPid(), 'SIGWINCH');
      assert.equal(await init.ended, 9, init.err);
      assert.equal(init.report('exit')?.lost, 0);
      const statuses = init.events().filter((event) => event === 'status').length;
      assert.ok(statuses >= 5 && statuses <= 15, `${statuses} status reports in 1 s`);
    });
  });

  describe('signals', () => {
    it('are forwarded; TERM ends it with the payload', async () => {
      const init = start({ command: [probe(), 'signals', 'mortal'] });
      await init.until('handlers', () => init.out.includes('ready\n'));
      const pid = await init.innerPid();
      for (const [name, number] of [
        ['SIGINT', 2],
        ['SIGHUP', 1],
        ['SIGUSR1', 10],
        ['SIGUSR2', 12],
        ['SIGQUIT', 3],
        ['SIGWINCH', 28],
      ] as const) {
        process.kill(pid, name);
        await init.until(name, () => init.out.includes(`signal ${number}\n`));
      }
      process.kill(pid, 'SIGTERM');
      assert.equal(await init.ended, 42);
      assert.deepEqual(init.events(), ['started', 'ready', 'stopping', 'exit']);
      assert.equal(init.report('stopping')?.signal, 15);
    });

    it('of a reload waits until the program is ready, and is none that asks it to stop', async () => {
      const told = async (pid: number, value: number) => {
        const fd = openProcess(pid);
        queueSignal(fd, RELOAD_SIGNAL, value);
        closeSync(fd);
      };
      const script = `import os, signal, socket, time
def handler(number, _): print('signal', number, flush=True)
time.sleep(2)
for number in (1, 10, 12, 15): signal.signal(number, handler)
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])
while True: time.sleep(1)`;
      const init = start({ command: ['/usr/bin/python3', '-c', script], options: ['--ready=notify'] });
      await init.until('start', () => init.report('started') !== undefined);
      const pid = await init.innerPid();
      for (const value of [15, 18, 9, 0, -1, 4000, 10, 1]) await told(pid, value);
      await init.until('the last that came', () => init.out.includes('signal 1\n'), 10_000);
      await told(pid, 12);
      await init.until('one at once', () => init.out.includes('signal 12\n'));
      assert.equal(init.out, 'signal 1\nsignal 12\n');
      init.kill();
    });

    it('TERM becomes --stop-signal', async () => {
      const init = start({ command: [probe(), 'signals', 'mortal'], options: ['--stop-signal=10'] });
      await init.until('handlers', () => init.out.includes('ready\n'));
      process.kill(await init.innerPid(), 'SIGTERM');
      await init.until('signal', () => init.out.includes('signal 10\n'));
      assert.ok(!init.out.includes('signal 15'));
    });

    it('CONT asks it to stop, too, once and not after TERM', async () => {
      const init = start({ command: [probe(), 'signals', 'stubborn'], options: ['--stop-signal=10'] });
      await init.until('handlers', () => init.out.includes('ready\n'));
      const pid = await init.innerPid();
      process.kill(pid, 'SIGCONT');
      await init.until('signal', () => init.out.includes('signal 10\n'));
      assert.equal(init.report('stopping')?.signal, 18);
      process.kill(pid, 'SIGCONT');
      process.kill(pid, 'SIGTERM');
      await init.until('second signal', () => init.out.includes('signal 10\nsignal 10\n'));
      process.kill(pid, 'SIGCONT');
      // What comes after it has passed through init after it.
      process.kill(pid, 'SIGWINCH');
      await init.until('last signal', () => init.out.includes('signal 28\n'));
      assert.equal(init.out, 'ready\nsignal 10\nsignal 10\nsignal 28\n');
      assert.deepEqual(init.events(), ['started', 'ready', 'stopping']);
    });

    it('CONT to all of them does the payload no harm, and ends it as TERM does', async () => {
      const init = start({ command: [probe(), 'sleep', '10000'] });
      await init.until('ready', () => init.report('ready') !== undefined);
      const pid = await init.innerPid();
      const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
      process.kill(Number(child), 'SIGCONT');
      process.kill(pid, 'SIGCONT');
      assert.equal(await init.ended, 143, init.err);
      assert.deepEqual(init.events(), ['started', 'ready', 'stopping', 'exit']);
    });

    for (const number of [15, 18]) {
      it(`${number} that comes before the payload was executed is not lost`, async () => {
        // Pending already when init begins.
        const init = start({
          command: [probe(), 'sleep', '10000'],
          before: `set -- ${payload('blocked')} ${number} "$@"`,
        });
        assert.equal(await init.ended, 143, init.err);
        assert.deepEqual(
          init.events().filter((event) => event !== 'ready'),
          ['started', 'stopping', 'exit'],
        );
        assert.equal(init.report('stopping')?.signal, number);
      });
    }

    it('TERM at any moment of the start ends it', async () => {
      for (let delay = 0; delay < 12; delay++) {
        const init = start({ command: [probe(), 'sleep', '10000'], before: `set -- ${payload('blocked')} 0 "$@"` });
        const pid = await init.innerPid();
        await init.until(
          'init',
          () => /^\S*(blocked|plugin-init)\0/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')) && masked(pid),
        );
        await new Promise((settle) => setTimeout(settle, delay % 4));
        process.kill(pid, 'SIGTERM');
        assert.equal(await init.ended, 143, init.err);
      }
    });

    /** Whether PID 1 has its signals blocked, from which moment on none may be lost. */
    function masked(pid: number): boolean {
      const mask = /^SigBlk:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
      return (Number.parseInt(mask, 16) & (1 << 14)) !== 0;
    }
  });

  it('reaps orphans', async () => {
    const init = start({ command: [probe(), 'orphans', '300'] });
    assert.equal(await init.ended, 0, init.out + init.err);
    assert.match(init.out, /left 0/);
  });

  it('takes random options and filters without a crash', async () => {
    const random = (length: number) =>
      Array.from({ length }, () => String.fromCharCode(1 + Math.floor(Math.random() * 126))).join('');
    for (let i = 0; i < 25; i++) {
      const options = [`--${random(5)}=${random(30)}`, `--env=${random(40)}`, `--listen=${random(8)}`].slice(
        0,
        1 + (i % 3),
      );
      const filter = join(place.path, 'random.bpf');
      writeFileSync(
        filter,
        Buffer.from(Array.from({ length: 8 * (1 + (i % 40)) }, () => Math.floor(Math.random() * 256))),
      );
      const init = start({
        command: [probe(), 'exit', '0'],
        options: i % 2 === 0 ? options : [],
        filter: i % 2 === 0 ? openFilter(place.path) : filter,
      });
      const code = await init.ended;
      // A random filter is refused as a program; random options are refused, or happen to be a fine variable.
      assert.ok(code === 70 || (i % 2 === 0 && code === 0), `${code} ${init.err}`);
    }
  });
});
