import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compileFilter, payload, prepare, type Running, scratch, startInit } from './native-programs.ts';

/** `--seccomp=learn`: what the payload calls is told, and no more goes on than the ceiling allows. */
describe('plugin-init that learns', function () {
  this.timeout(60_000);
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

  function learn(command: readonly string[], list = 'learn'): Running {
    const filter = compileFilter(place.path, list);
    const started = startInit({ directory: place.path, filter, command, options: ['--seccomp=learn'] });
    running.push(started);
    return started;
  }

  const calls = (init: Running) => init.reports.filter(({ event }) => event === 'call');
  const told = (init: Running, call: string) => calls(init).filter((report) => report.call === call);

  it('tells each call once, with the values of its argument, and lets the program do its work', async () => {
    const init = learn([payload('probe-dynamic'), 'state']);
    assert.equal(await init.ended, 0, init.err);
    assert.match(init.out, /^status\tSeccomp:\s+2$/m);
    const all = calls(init).map(({ call, value, answer, errno }) => `${call} ${value} ${answer} ${errno}`);
    assert.deepEqual(all, [...new Set(all)]);
    for (const expected of ['read 0 allowed 0', 'exit_group 0 allowed 0', 'fcntl 1 allowed 0'])
      assert.ok(all.includes(expected), `${expected} in ${all.join(', ')}`);
    // Executed by init, which is not told; nothing else was.
    assert.deepEqual(told(init, 'execve'), []);
    assert.equal(init.reports.at(-1)?.lost, 0);
  });

  it('tells what children and threads call', async () => {
    const init = learn([payload('probe'), 'orphans', '3']);
    assert.equal(await init.ended, 0, init.out + init.err);
    assert.ok(told(init, 'clone').length > 0);
    const thread = learn([payload('probe'), 'thread-call', process.arch === 'x64' ? '110' : '173']);
    assert.equal(await thread.ended, 0);
    assert.equal(told(thread, 'getppid')[0]?.answer, 'allowed');
  });

  it('tells a program that is started by another one', async () => {
    const init = learn([payload('probe'), 'race-exec', process.arch === 'x64' ? '39' : '172']);
    await init.until('execve', () => told(init, 'execve').length > 0);
    assert.equal(told(init, 'execve')[0]?.answer, 'allowed');
  });

  it('programs: own holds while learning, too', async () => {
    const init = learn([payload('probe'), 'race-exec', process.arch === 'x64' ? '39' : '172'], 'learn+own-program');
    assert.equal(await init.ended, 1, JSON.stringify(init.reports));
    assert.deepEqual(
      told(init, 'execve').map(({ answer, errno }) => [answer, errno]),
      [['refused', 1]],
    );
  });

  if (process.arch === 'x64') {
    const refused: { name: string; call: (number | string)[]; told?: string }[] = [
      { name: 'unshare', call: [272, 0x10000000] },
      { name: 'clone(CLONE_NEWUSER)', call: [56, 0x10000011] },
      { name: 'clone(CLONE_NEWNET)', call: [56, 0x40000011] },
      { name: 'setns', call: [308] },
      { name: 'mount', call: [165] },
      { name: 'move_mount', call: [429] },
      { name: 'pivot_root', call: [155] },
      { name: 'chroot', call: [161] },
      { name: 'ptrace', call: [101] },
      { name: 'process_vm_readv', call: [310] },
      { name: 'bpf', call: [321] },
      { name: 'perf_event_open', call: [298] },
      { name: 'keyctl', call: [250] },
      { name: 'add_key', call: [248] },
      { name: 'userfaultfd', call: [323] },
      { name: 'open_by_handle_at', call: [304] },
      { name: 'kexec_load', call: [246] },
      { name: 'finit_module', call: [313] },
      { name: 'personality', call: [135] },
      { name: 'setuid', call: [105] },
      { name: 'seccomp', call: [317, 1] },
      { name: 'pidfd_getfd', call: [438] },
      { name: 'socket(AF_VSOCK)', call: [41, 40, 1, 0] },
      { name: 'socket(AF_PACKET)', call: [41, 17, 3, 0] },
      { name: 'ioctl(TIOCSTI)', call: [16, 0, 0x5412] },
      { name: 'ioctl(TIOCSTI) with upper bits', call: [16, 0, '0x100005412'] },
      { name: 'a number that no call has', call: [999], told: '999' },
      { name: 'a negative number', call: [-1], told: '-1' },
      { name: 'getpid of x32', call: [0x40000000 + 39], told: 'x32:39' },
    ];
    it('refuses what no profile allows with EPERM, and tells it', async () => {
      for (const { name, call, told: as } of refused) {
        const init = learn([payload('probe'), 'call', ...call.map(String)]);
        assert.equal(await init.ended, 0, `${name}: ${init.err}`);
        assert.equal(init.out, 'result -1\n', name);
        const reports = told(init, as ?? name.split('(')[0]?.split(' ')[0] ?? '').filter(
          ({ answer }) => answer === 'refused',
        );
        assert.deepEqual(
          reports.map(({ errno }) => errno),
          [1],
          `${name}: ${JSON.stringify(calls(init))}`,
        );
      }
    });

    it('refuses 32-bit calls', async () => {
      const init = learn([payload('probe'), 'int80', '20']);
      assert.equal(await init.ended, 0);
      assert.equal(init.out, 'result -1\n');
      assert.equal(told(init, '32-bit:20')[0]?.answer, 'refused');
    });

    it('answers as the profiles do', async () => {
      for (const [call, result] of [
        [['435', '0', '0'], -38],
        [['425', '1', '0'], -38],
        [['41', '16', '3', '0'], -97],
      ] as const) {
        const init = learn([payload('probe'), 'call', ...call]);
        assert.equal(await init.ended, 0);
        assert.equal(init.out, `result ${result}\n`);
        assert.equal(calls(init).find(({ answer }) => answer === 'answered')?.errno, -result);
      }
    });

    it('decides as the kernel does with the same filter', async () => {
      // Results of the kernel are those of the call itself; 134 means that it was forbidden.
      const tried = [...Array(24).keys()].flatMap((value) => [
        [41, value, 1, 0],
        [157, value, 0, 0],
        [16, 0, 0x5401 + value],
        [72, 0, value, 0],
        [10, 0, 4096, value],
      ]);
      for (const call of tried.filter((_, index) => index % 3 === 0)) {
        const command = [payload('probe'), 'call', ...call.map(String)];
        const strict = startInit({ directory: place.path, filter: compileFilter(place.path, 'learn'), command });
        running.push(strict);
        const ended = await strict.ended;
        const init = learn(command);
        assert.equal(await init.ended, 0);
        assert.equal(init.out, ended === 134 ? 'result -1\n' : strict.out, call.join(' '));
      }
    });
  }

  it('refuses everything by a filter that is none', async () => {
    for (let n = 0; n < 12; n++) {
      const filter = join(place.path, 'garbage.bpf');
      // Never BPF_RET with SECCOMP_RET_ALLOW: that would be a filter.
      writeFileSync(
        filter,
        Buffer.from(Array.from({ length: 8 * (1 + 7 * n) }, () => Math.floor(Math.random() * 127))),
      );
      const init = startInit({
        directory: place.path,
        filter,
        command: [payload('probe'), 'exit', '7'],
        options: ['--seccomp=learn'],
      });
      running.push(init);
      // A child that may not even exit ends by a signal, or not at all.
      const ended = await Promise.race([init.ended, new Promise((settle) => setTimeout(settle, 500))]);
      init.kill();
      await init.ended;
      assert.notEqual(ended, 7);
      assert.doesNotMatch(init.err, /Sanitizer/);
      assert.deepEqual(
        calls(init).filter(({ answer }) => answer === 'allowed'),
        [],
      );
    }
  });

  it('tells a bounded number of values, and then that there are more', async () => {
    const init = learn([
      '/usr/bin/python3',
      '-c',
      'import fcntl\nfor n in range(3000, 3200):\n try: fcntl.ioctl(1, n)\n except OSError: pass',
    ]);
    assert.equal(await init.ended, 0, init.err);
    const ioctls = told(init, 'ioctl');
    assert.equal(ioctls.length, 25, JSON.stringify(ioctls));
    assert.deepEqual(ioctls.filter(({ more }) => (more as unknown) === true).length, 1);
  });

  it('signals, children and crashes are as ever', async () => {
    const init = learn([payload('probe'), 'signals']);
    await init.until('ready', () => init.out.includes('ready'));
    const pid = await init.innerPid();
    process.kill(pid, 'SIGUSR1');
    await init.until('signal', () => init.out.includes('signal 10'));
    process.kill(pid, 'SIGTERM');
    assert.equal(await init.ended, 42);
    const crash = learn([payload('probe'), 'abort']);
    assert.equal(await crash.ended, 134);
    assert.equal(crash.report('forbidden'), undefined);
    assert.ok(told(crash, 'tgkill').length > 0);
  });

  it('a timer that interrupts calls all the time does not break those that may be begun again', async () => {
    const script = [
      'import signal, os',
      'signal.signal(signal.SIGALRM, lambda *a: None); signal.siginterrupt(signal.SIGALRM, False); signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)',
      'for n in range(2000): os.stat("/"); os.getppid()',
      'signal.setitimer(signal.ITIMER_REAL, 0); print("done")',
    ].join('\n');
    const init = learn(['/usr/bin/python3', '-c', script]);
    assert.equal(await init.ended, 0, init.err);
    assert.equal(init.out, 'done\n');
  });
});
