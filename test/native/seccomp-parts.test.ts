import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compileFilter, lists, payload, prepare, type Running, scratch, startInit } from './native-programs.ts';

/** What a declaration lays over a profile: grants by `allow`, and `programs: own`. Real programs, real filters. */
describe('parts of seccomp filters', function () {
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

  function start(list: string, command: readonly string[]): Running {
    const started = startInit({ directory: place.path, filter: compileFilter(place.path, list), command });
    running.push(started);
    return started;
  }

  /** By grant: the call that ends a program that uses it without. */
  const grants: Readonly<Record<string, string>> = {
    keyring: 'add_key',
    perf: 'perf_event_open',
    ptrace: 'ptrace',
  };

  it('are all tested here, but the gate, which has a suite of its own', () => {
    const shipped = readdirSync(join(lists, 'parts')).map((name) => name.replace(/\.list$/, ''));
    assert.deepEqual(shipped.sort(), ['gate', 'io_uring', 'own-program', ...Object.keys(grants)].sort());
  });

  for (const [grant, call] of Object.entries(grants)) {
    it(`allow: [${grant}] lets a program use it, which ends by ${call} without`, async () => {
      const granted = start(`native+${grant}`, [payload('granted'), grant]);
      assert.equal(await granted.ended, 0, granted.out + granted.err);
      assert.equal(granted.out, `${grant} works\n`);
      const refused = start('native', [payload('granted'), grant]);
      assert.equal(await refused.ended, 134, refused.out);
      assert.equal(refused.report('forbidden')?.call, call);
    });
  }

  it('allow: [io_uring] lets a program use it, which finds no rings without', async () => {
    const granted = start('native+io_uring', [payload('granted'), 'io_uring']);
    assert.equal(await granted.ended, 0, granted.out + granted.err);
    assert.equal(granted.out, 'io_uring works\n');
    const refused = start('native', [payload('granted'), 'io_uring']);
    assert.equal(await refused.ended, 1);
    assert.equal(refused.out, 'io_uring_setup: Function not implemented\n');
  });

  it('can be had together, and open nothing else', async () => {
    const all = `native+${['io_uring', ...Object.keys(grants)].join('+')}`;
    for (const grant of ['io_uring', ...Object.keys(grants)])
      assert.equal(await start(all, [payload('granted'), grant]).ended, 0, grant);
    if (process.arch !== 'x64') return;
    const beside: { name: string; call: (number | string)[] }[] = [
      { name: 'bpf', call: [321] },
      { name: 'unshare', call: [272, 0x10000000] },
      { name: 'mount', call: [165] },
      { name: 'kcmp', call: [312] },
      { name: 'pidfd_getfd', call: [438] },
      // PTRACE_SECCOMP_GET_FILTER
      { name: 'ptrace', call: [101, 0x420c] },
      // With information for a callout the kernel would start a program of the host.
      { name: 'request_key', call: [249, 0, 0, 1, 0] },
      // KEYCTL_INSTANTIATE, KEYCTL_GET_PERSISTENT
      { name: 'keyctl', call: [250, 12] },
      { name: 'keyctl', call: [250, 22] },
      // PERF_EVENT_IOC_SET_BPF
      { name: 'ioctl', call: [16, 0, 0x40042408 + 0x1000000] },
    ];
    for (const { name, call } of beside) {
      const init = start(all, [payload('probe'), 'call', ...call.map(String)]);
      assert.equal(await init.ended, 134, `${name}: ${init.out}`);
      assert.equal(init.report('forbidden')?.call, name);
    }
  });

  for (const list of ['native+own-program', 'static']) {
    it(`${list}: the program is executed, and no other one after it`, async () => {
      const own = start(list, [payload('probe'), 'exit', '7']);
      assert.equal(await own.ended, 7, JSON.stringify(own.reports));
      const getpid = process.arch === 'x64' ? '39' : '172';
      const another = start(list, [payload('probe'), 'race-exec', getpid]);
      assert.equal(await another.ended, 134, another.out);
      assert.equal(another.report('forbidden')?.call, 'execve');
    });
  }

  if (process.arch === 'x64') {
    it("programs: own: init's number cannot be had by trying the one in the list", async () => {
      for (const secret of ['0', '0x62756c6b68656164', '0x626c6b']) {
        const init = start('native+own-program', [payload('probe'), 'call', '59', '0', '0', '0', '0', '0', secret]);
        assert.equal(await init.ended, 134, init.out);
        assert.equal(init.report('forbidden')?.call, 'execve');
      }
    });

    it('memory is not writable and executable at once, but where a runtime needs it', async () => {
      const rwx = ['9', '0', '4096', '7', '0x22', '-1', '0'];
      const become = ['10', '0', '0', '7'];
      for (const list of ['core', 'go', 'static'])
        for (const [name, call] of [
          ['mmap', rwx],
          ['mprotect', become],
        ] as const) {
          const init = start(list, [payload('probe'), 'call', ...call]);
          assert.equal(await init.ended, 134, `${list} ${name}: ${init.out}`);
          assert.equal(init.report('forbidden')?.call, name);
        }
      for (const call of [rwx, become])
        assert.equal(
          await start('python', [payload('probe'), 'call', ...call]).ended.then(() => running.at(-1)?.out),
          'result -13\n',
        );
      for (const list of ['native', 'node', 'jvm']) {
        const init = start(list, [payload('probe'), 'call', ...become]);
        assert.equal(await init.ended, 0, `${list}: ${JSON.stringify(init.reports)}`);
        assert.equal(init.out, 'result 0\n');
      }
    });
  }
});
