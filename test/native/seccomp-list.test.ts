import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lists, prepare, scratch, tool } from './native-programs.ts';

function run(...argv: string[]): { status: number | null; out: string; err: string } {
  const done = spawnSync(tool('bulkhead-seccomp'), argv, { encoding: 'utf8' });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

describe('bulkhead-seccomp', function () {
  this.timeout(20_000);
  let place: ReturnType<typeof scratch>;
  before(prepare);
  beforeEach(() => {
    place = scratch();
  });
  afterEach(() => place.remove());

  function list(text: string | Buffer, name = 'x.list'): string {
    const file = join(place.path, name);
    writeFileSync(file, text);
    return file;
  }

  const shipped = readdirSync(lists).filter((name) => name.endsWith('.list'));
  for (const name of shipped) {
    it(`compiles ${name} into a filter that a kernel takes`, () => {
      const out = join(place.path, 'out.bpf');
      const done = run('compile', join(lists, name), '-o', out);
      assert.deepEqual(done, { status: 0, out: '', err: '' });
      const { size, mode } = statSync(out);
      assert.equal(size % 8, 0);
      assert.ok(size / 8 >= 100 && size / 8 < 1000, `${size / 8} instructions`);
      assert.equal(mode & 0o777, 0o600);
    });
  }

  it('ships the lists that templates name', () => {
    for (const name of ['core', 'static', 'go', 'jvm', 'python', 'node', 'native'])
      assert.ok(shipped.includes(`${name}.list`));
  });

  it('never allows what gets out of a sandbox', () => {
    const forbidden = `unshare setns mount umount2 pivot_root chroot ptrace process_vm_readv process_vm_writev bpf
      perf_event_open keyctl add_key request_key userfaultfd open_by_handle_at name_to_handle_at kexec_load
      kexec_file_load init_module finit_module delete_module reboot swapon swapoff settimeofday clock_settime
      adjtimex clock_adjtime setuid setgid setreuid setregid setresuid setresgid setgroups capset
      personality quotactl acct iopl ioperm syslog move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr
      pidfd_getfd seccomp mknod mknodat sethostname setdomainname vhangup lookup_dcookie nfsservctl kcmp
      fanotify_init execveat io_submit io_setup`.split(/\s+/);
    const refused = ['setfsuid', 'setfsgid', 'clone3', 'io_uring_setup', 'io_uring_enter', 'io_uring_register'];
    for (const name of shipped) {
      const lines = run('show', join(lists, name)).out.split('\n');
      const of = (call: string) => lines.filter((line) => line.trim().split(' ')[1] === call);
      for (const call of forbidden) assert.deepEqual(of(call), [], `${name}: ${call}`);
      for (const call of refused)
        assert.ok(
          of(call).every((line) => / errno=E(NOSYS|PERM) /.test(line)),
          `${name}: ${call}`,
        );
      for (const call of ['socket', 'clone', 'prctl', 'ioctl', 'socketpair', 'mprotect'])
        assert.ok(
          of(call).every((line) => / [a-z-]+=/.test(line.split('#')[0] ?? '')),
          `${name}: ${call}`,
        );
    }
  });

  it('lets a plugin that learns do what any profile allows', () => {
    interface Line {
      readonly call: string;
      readonly errno: string;
      readonly conditions: readonly { argument: number; without: boolean; values: readonly string[] }[];
    }
    const rules = (name: string): Line[] =>
      run('rules', join(lists, name))
        .out.trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line);
    const ceiling = rules('learn.list').filter(({ errno }) => errno === '');
    const covers = (call: string, argument: number, value: bigint): boolean =>
      ceiling.some(
        (line) =>
          line.call === call &&
          line.conditions.every((condition) => {
            // The protocol of a socket, which is not looked at, is the same wherever there is one.
            if (call === 'socket' && condition.argument === 2) return true;
            if (condition.argument !== argument) return false;
            if (condition.without) return condition.values.every((bits) => (value & BigInt(bits)) === 0n);
            return condition.values.some((one) => BigInt(one) === value);
          }),
      );
    for (const name of shipped)
      for (const { call, errno, conditions } of rules(name)) {
        if (errno !== '' || call === 'execve') continue;
        // What a line with `-without` allows is shown by its least value, which is 0.
        const [only] = conditions;
        const values = only === undefined || only.without ? ['0'] : only.values;
        for (const value of values)
          assert.ok(covers(call, only?.argument ?? -1, BigInt(value)), `${name}: ${call} ${value}`);
        // Init looks at one argument of a call; a condition on another one is not learned.
        assert.ok(conditions.length <= 1 || call === 'socket', `${name}: ${call}`);
      }
  });

  it('prints rules for programs, with values as numbers', () => {
    const file = list(
      'read # say "x"\nsocket family=AF_UNIX,2 # own\n  # as above\nmmap prot-without=PROT_EXEC errno=EACCES # as above\n',
    );
    assert.deepEqual(
      run('rules', file)
        .out.trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [
        { call: 'read', errno: '', conditions: [], reason: 'say "x"' },
        {
          call: 'mmap',
          errno: 'EACCES',
          conditions: [{ text: 'prot-without=PROT_EXEC', argument: 2, without: true, values: ['4'] }],
          reason: 'own',
        },
        {
          call: 'socket',
          errno: '',
          conditions: [{ text: 'family=AF_UNIX,2', argument: 0, without: false, values: ['1', '2'] }],
          reason: 'own',
        },
      ],
    );
  });

  it('shows includes, conditions, errors and reasons', () => {
    list('read # of files\nclone flags-without=CLONE_NEWUSER|CLONE_NEWNS # threads\n', 'base.list');
    const file = list(
      '# a comment\n\ninclude base\n\tclone3 errno=ENOSYS # falls back\r\nsocket family=AF_UNIX,2 arg1=1 # own # really\n',
    );
    const done = run('show', file);
    assert.equal(done.err, '');
    assert.equal(
      done.out,
      '   0 read  # of files\n  41 socket family=AF_UNIX,2 arg1=1  # own # really\n  56 clone flags-without=CLONE_NEWUSER|CLONE_NEWNS  # threads\n 435 clone3 errno=ENOSYS  # falls back\n',
    );
  });

  const bad: { text: string | Buffer; says: string[] }[] = [
    { text: 'read\n', says: ["1:5: BH603 'read' needs its reason: # why it is harmless and needed"] },
    { text: 'read #\n', says: ["1:6: BH603 'read' needs its reason: # why it is harmless and needed"] },
    { text: 'read #   \n', says: ["1:6: BH603 'read' needs its reason: # why it is harmless and needed"] },
    { text: 'raed # typing\n', says: ["1:1: BH603 unknown system call 'raed'"] },
    {
      text: '\n  raed # typing\nwriet # x\n',
      says: ["2:3: BH603 unknown system call 'raed'", "3:1: BH603 unknown system call 'wriet'"],
    },
    { text: 'read # a\nread # b\n', says: ["2:1: BH603 'read' is already given at FILE:1"] },
    { text: 'socket family=AF_UNIX # a\nsocket # b\n', says: ["2:1: BH603 'socket' is already given at FILE:1"] },
    {
      text: 'socket family=AF_UNIX # a\nsocket family=AF_UNIX # b\n',
      says: ["2:1: BH603 'socket' is already given at FILE:1"],
    },
    { text: 'socket family=AF_MOON # a\n', says: ["1:15: BH603 unknown value 'AF_MOON'"] },
    { text: 'socket family=AF_UNIX,,AF_INET # a\n', says: ["1:23: BH603 unknown value ''"] },
    { text: 'socket family=AF_UNIX, # a\n', says: ["1:23: BH603 unknown value ''"] },
    {
      text: 'socket family= # a\n',
      says: ["1:8: BH603 expected ARGUMENT=VALUE, ARGUMENT-without=FLAGS, errno=NAME or ask=init, not 'family='"],
    },
    {
      text: 'socket AF_UNIX # a\n',
      says: ["1:8: BH603 expected ARGUMENT=VALUE, ARGUMENT-without=FLAGS, errno=NAME or ask=init, not 'AF_UNIX'"],
    },
    { text: 'socket colour=1 # a\n', says: ["1:8: BH603 'colour' is not an argument of 'socket'"] },
    { text: 'socket arg6=1 # a\n', says: ["1:8: BH603 'arg6' is not an argument of 'socket'"] },
    { text: 'accept ask=me # a\n', says: ["1:8: BH603 nobody but 'init' can be asked, about 'accept' and 'accept4'"] },
    { text: 'read ask=init # a\n', says: ["1:6: BH603 nobody but 'init' can be asked, about 'accept' and 'accept4'"] },
    { text: 'accept arg0=3 ask=init # a\n', says: ["1:1: BH603 'accept': 'ask=init' stands alone"] },
    { text: 'accept4 ask=init errno=EPERM # a\n', says: ["1:1: BH603 'accept4': 'ask=init' stands alone"] },
    { text: 'read errno=ENOTHING # a\n', says: ["1:12: BH603 'ENOTHING' is not the name of an error"] },
    { text: 'read errno=ENOSYS errno=EPERM # a\n', says: ["1:25: BH603 'EPERM' is not the name of an error"] },
    { text: 'read arg0=0x # a\n', says: ["1:11: BH603 unknown value '0x'"] },
    { text: 'read arg0=99999999999999999999 # a\n', says: ["1:11: BH603 unknown value '99999999999999999999'"] },
    { text: 'read arg0=1 arg1=1 arg2=1 arg3=1 # a\n', says: ['1:27: BH603 more than 3 conditions'] },
    { text: 'include\n', says: ["1:8: BH603 expected the name of a list after 'include'"] },
    {
      text: 'include ../core\n',
      says: ["1:9: BH603 expected the name of a list after 'include'"],
    },
    { text: 'include a b\n', says: ["1:11: BH603 one name only after 'include'"] },
    { text: 'include nothing\n', says: ["1:9: BH603 cannot read 'DIR/nothing.list': No such file or directory"] },
    { text: '# only words\n', says: ['1:1: BH603 no system call is listed'] },
    { text: '', says: ['1:1: BH603 no system call is listed'] },
    { text: Buffer.from([0, 0x72, 0x0a]), says: ['1:1: BH603 not a line of text, or longer than 2046 bytes'] },
    { text: `read # ${'x'.repeat(3000)}\n`, says: ['1:1: BH603 not a line of text, or longer than 2046 bytes'] },
  ];
  for (const { text, says } of bad) {
    it(`refuses ${JSON.stringify(text.toString().slice(0, 60))}`, () => {
      const file = list(text);
      for (const verb of ['check', 'show']) {
        const done = run(verb, file);
        assert.equal(done.status, 1);
        assert.equal(done.out, '');
        const lines = done.err.trimEnd().split('\n');
        assert.deepEqual(
          lines,
          says.map((one) => `${file}:${one.replace('FILE', file).replace('DIR', place.path)}`),
        );
      }
    });
  }

  it('compiles no list under which init could not execute the payload', () => {
    const file = list('write # a\nsendmsg arg0=5 # b\nexecve errno=EPERM # c\n');
    const done = run('compile', file, '-o', join(place.path, 'out.bpf'));
    assert.equal(done.status, 1);
    assert.deepEqual(
      done.err.trimEnd().split('\n'),
      ['execve', 'sendmsg', 'exit_group'].map(
        (call) => `${file}:1:1: BH603 '${call}' has to be allowed: init needs it under the filter`,
      ),
    );
  });

  it('names the problem once when the same condition has two effects', () => {
    const file = list('socket family=AF_UNIX,AF_INET # a\nsocket family=AF_INET errno=EPERM # b\n');
    const done = run('check', file);
    assert.equal(done.status, 1);
    assert.match(done.err, /x\.list:2:1: BH603 'socket' has the same condition elsewhere with another effect\n$/);
  });

  it('refuses lists that include each other', () => {
    list('include b\n', 'a.list');
    list('include a\n', 'b.list');
    const done = run('check', join(place.path, 'a.list'));
    assert.equal(done.status, 1);
    assert.match(done.err, /BH603 lists include each other in a circle, or deeper than 8\n$/);
  });

  it('says that a list cannot be read', () => {
    assert.deepEqual(run('check', '/nonexistent.list'), {
      status: 1,
      out: '',
      err: "/nonexistent.list:1:1: BH603 cannot read '/nonexistent.list': No such file or directory\n",
    });
    assert.match(run('check', place.path).err, /BH603 cannot read it: Is a directory/);
  });

  const enough = ['execve', 'sendmsg', 'write', 'exit_group'].map((call) => `${call} # x\n`).join('');

  it('leaves an earlier filter in place when it fails, and no other file', () => {
    const out = join(place.path, 'out.bpf');
    writeFileSync(out, 'earlier');
    assert.equal(run('compile', list('nonsense # x\n'), '-o', out).status, 1);
    assert.equal(readFileSync(out, 'utf8'), 'earlier');
    assert.equal(run('compile', list(enough), '-o', out).status, 0);
    assert.notEqual(readFileSync(out, 'utf8'), 'earlier');
    assert.deepEqual(readdirSync(place.path).sort(), ['out.bpf', 'x.list']);
    mkdirSync(join(place.path, 'taken'));
    const failed = run('compile', list(enough), '-o', join(place.path, 'taken'));
    assert.equal(failed.status, 1);
    assert.match(failed.err, /cannot rename/);
    assert.deepEqual(readdirSync(place.path).sort(), ['out.bpf', 'taken', 'x.list']);
    assert.match(
      run('compile', list(enough), '-o', '/nonexistent/out').err,
      /cannot create a file beside '\/nonexistent\/out'/,
    );
  });

  it('names a call by its number', () => {
    assert.deepEqual(run('name', process.arch === 'x64' ? '272' : '97'), { status: 0, out: 'unshare\n', err: '' });
    assert.deepEqual(run('name', '99999'), {
      status: 1,
      out: '',
      err: 'bulkhead-seccomp: no system call has the number 99999\n',
    });
    for (const wrong of ['', 'x', '1x', '-1', '99999999999999999999'])
      assert.equal(run('name', wrong).status, 2, wrong);
  });

  it('explains its usage', () => {
    for (const argv of [
      [],
      ['compile'],
      ['compile', 'x'],
      ['compile', 'x', '-o'],
      ['check'],
      ['check', 'a', 'b'],
      ['check', 'a', '--add'],
      ['check', 'a', '-o', 'b'],
      ['show', 'a', '--what', 'b'],
      ['what', 'x'],
    ]) {
      const done = run(...argv);
      assert.equal(done.status, 2);
      assert.match(done.err, /^usage: bulkhead-seccomp compile/);
    }
  });

  it('finds included lists in the directories that are given, the first one first', () => {
    list('read # here\n', 'base.list');
    mkdirSync(join(place.path, 'etc'));
    mkdirSync(join(place.path, 'usr'));
    const both = (name: string) => ['--include', join(place.path, 'etc'), '--include', join(place.path, name)];
    const file = list('include base\n');
    list('write # usr\n', 'usr/base.list');
    assert.match(run('show', file, ...both('usr')).out, /# usr\n$/);
    list('writev # etc\n', 'etc/base.list');
    assert.match(run('show', file, ...both('usr')).out, /# etc\n$/);
    assert.match(run('show', file).out, /# here\n$/);
  });

  it('lays another list over it: what is there already gives way, unless both have conditions', () => {
    const file = list(
      'io_uring_setup errno=ENOSYS # no\nread # as it is\nprctl option=PR_SET_NAME # own\nmmap prot-without=PROT_EXEC # data\n',
    );
    const other = list(
      '# more\nio_uring_setup # yes\n\nprctl option=PR_SET_PTRACER # too\nmmap # any\nclose # more\n',
      'other.list',
    );
    assert.equal(
      run('show', file, '--add', other).out,
      '   0 read  # as it is\n   3 close  # more\n   9 mmap  # any\n 157 prctl option=PR_SET_NAME  # own\n 157 prctl option=PR_SET_PTRACER  # too\n 425 io_uring_setup  # yes\n',
    );
    const faulty = list('reed # x\n', 'faulty.list');
    assert.equal(run('check', file, '--add', faulty).err, `${faulty}:1:1: BH603 unknown system call 'reed'\n`);
  });

  it('lets nobody but init execute where a list says so, and only where it says it like that', () => {
    const others = ['sendmsg', 'write', 'exit_group'].map((call) => `${call} # x\n`).join('');
    const compiles = (line: string) => run('compile', list(others + line), '-o', join(place.path, 'o')).status === 0;
    assert.ok(compiles('execve arg5=INIT # x\n'));
    for (const line of ['execve arg4=INIT # x\n', 'execve arg5=INIT,1 # x\n', 'execve arg5=INIT arg0=1 # x\n'])
      assert.ok(!compiles(line), line);
  });

  it('survives random lists', () => {
    const words = [
      'read',
      'socket',
      'include',
      'family=',
      'errno=',
      'arg0=1',
      '#',
      ' ',
      '\n',
      ',',
      '|',
      '-without=',
      'AF_UNIX',
      'x',
      '\t',
      '\\',
      '\xff',
    ];
    for (let i = 0; i < 60; i++) {
      const text = Array.from({ length: 40 }, () => words[Math.floor(Math.random() * words.length)]).join('');
      const done = run('check', list(text));
      assert.ok(
        done.status === 0 || (done.status === 1 && done.err.includes('BH603')),
        `${done.status} ${done.err} of ${text}`,
      );
    }
  });
});
