import assert from 'node:assert/strict';
import { chmodSync, closeSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listenTcp } from '../../src/kernel/native.ts';
import { compileFilter, payload, prepare, type Report, type Running, scratch, startInit } from './native-programs.ts';

/** Serves the probe socket, or a port of its own, as a file says at that moment: `status 503`, `silent`, `flood` ... */
const SERVER = `
import os, socket, sys, threading, time
how, port = sys.argv[1], int(sys.argv[2])
if port:
    listener = socket.create_server(("127.0.0.1", port))
else:
    names = os.environ["LISTEN_FDNAMES"].split(":")
    print("names", *names, "count", os.environ["LISTEN_FDS"], flush=True)
    listener = socket.socket(fileno=2 + len(names))
def serve(client, what):
    try:
        asked = client.recv(4096)
        if what == "silent":
            time.sleep(600)
        elif what == "flood":
            client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
            while True: client.sendall(b"x" * 65536)
        elif what == "garbage":
            client.sendall(b"\\xff\\x00" * 500)
        elif what == "trickle":
            for byte in b"HTTP/1.1 200 OK\\r\\n\\r\\n":
                client.sendall(bytes([byte])); time.sleep(0.2)
        elif what.startswith("status"):
            if asked: client.sendall(b"HTTP/1.1 " + what.split()[1].encode() + b" X\\r\\n\\r\\n")
    except OSError:
        pass
    client.close()
while True:
    if open(how).read() == "hang":
        time.sleep(0.02)
        continue
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client, open(how).read()), daemon=True).start()
`;

/** As src/kernel/init-signal.ts sends it. */
const PROBES_SIGNAL = 36;

describe('probes of plugin-init', function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  const running: Running[] = [];
  before(prepare);
  beforeEach(() => {
    place = scratch();
    writeFileSync(join(place.path, 'server.py'), SERVER);
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    place.remove();
  });

  function start(options: readonly string[], command: readonly string[], more: object = {}): Running {
    const one = startInit({
      directory: place.path,
      options: ['--env=PATH=/usr/bin:/bin', ...options],
      command,
      network: true,
      ...more,
    });
    running.push(one);
    return one;
  }

  function answer(how: string): void {
    writeFileSync(join(place.path, 'how'), how);
  }

  function serve(options: readonly string[], port = 0): Running {
    return start(options, ['python3', join(place.path, 'server.py'), join(place.path, 'how'), String(port)]);
  }

  function told(one: Running, probe: string): Report[] {
    return one.reports.filter((report) => report.event === 'probe' && report.probe === probe);
  }

  async function untilTold(one: Running, probe: string, count: number, ms = 15_000): Promise<Report> {
    await one.until(`${count} reports of ${probe}`, () => told(one, probe).length >= count, ms);
    const report = told(one, probe)[count - 1];
    assert.ok(report !== undefined);
    return report;
  }

  const HTTP = (more = '50:5000:3:1') => [`--probe=liveness:http:${more}`, '--probe-path=/healthz'];

  it('tell once that it passes, and again only when it does not any more', async () => {
    answer('status 200');
    const one = serve(HTTP());
    const first = await untilTold(one, 'liveness', 1);
    assert.deepEqual([first.passes, first.asked, first.text], [true, true, 'passed']);
    assert.match(one.out, /^names probe count 1$/m);
    await pause(300);
    assert.equal(told(one, 'liveness').length, 1);
    answer('status 503');
    const second = await untilTold(one, 'liveness', 2);
    assert.deepEqual([second.passes, second.asked, second.text], [false, true, 'HTTP status 503']);
    answer('status 302');
    assert.equal((await untilTold(one, 'liveness', 3)).passes, true);
  });

  const failing: [how: string, kind: 'tcp' | 'http', text: RegExp][] = [
    ['hang', 'tcp', /^no answer within 300 ms$/],
    ['hang', 'http', /^no answer within 300 ms$/],
    ['silent', 'http', /^no answer within 300 ms$/],
    ['trickle', 'http', /^no answer within 300 ms$/],
    ['garbage', 'http', /^the answer is not HTTP$/],
    ['close', 'http', /^the connection ended without an answer$/],
    ['status 404', 'http', /^HTTP status 404$/],
    ['status 100', 'http', /^HTTP status 100$/],
  ];
  for (const [how, kind, text] of failing)
    it(`by ${kind} fail when the program's answer is "${how}"`, async () => {
      answer(how);
      const one = serve([`--probe=liveness:${kind}:50:300:2:1`, ...(kind === 'http' ? ['--probe-path=/'] : [])]);
      const { passes, asked, text: said } = await untilTold(one, 'liveness', 1);
      assert.deepEqual([passes, asked], [false, true]);
      assert.match(String(said), text);
    });

  for (const how of ['status 200', 'close', 'flood'])
    it(`by tcp pass when the program takes the connection: "${how}"`, async () => {
      answer(how);
      assert.equal((await untilTold(serve(['--probe=liveness:tcp:50:5000:2:1']), 'liveness', 1)).passes, true);
    });

  it('are not harmed by an answer without end', async () => {
    answer('flood');
    const one = serve(HTTP());
    assert.equal((await untilTold(one, 'liveness', 1)).passes, true);
    await pause(500);
    assert.equal(told(one, 'liveness').length, 1);
    assert.equal(one.report('helper-lost'), undefined);
  });

  it('go to a port of the program, too', async () => {
    answer('status 204');
    const options = ['--probe=liveness:http:50:5000:0:1', '--probe-path=/', '--probe-port=7000'];
    const one = serve([...options, '--probe=readiness:tcp:50:500:2:1', '--probe-port=7001'], 7000);
    await one.until('a pass', () => told(one, 'liveness').at(-1)?.passes === true, 15_000);
    const { passes, text } = await untilTold(one, 'readiness', 1);
    assert.deepEqual([passes, text], [false, 'no connection: Connection refused']);
    assert.doesNotMatch(one.out, /names/);
  });

  it('take a pause of the program for what it is when it has its time', async () => {
    answer('status 200');
    const one = serve(['--probe=liveness:tcp:20:1000:100:1']);
    await untilTold(one, 'liveness', 1);
    answer('hang');
    await pause(200);
    answer('status 200');
    await pause(300);
    assert.equal(told(one, 'liveness').length, 1);
  });

  it('hold back readiness until the startup probe has passed, and begin with the others then', async () => {
    answer('status 503');
    const startup = ['--probe=startup:http:50:500:0:1', '--probe-path=/', '--probe=liveness:tcp:50:500:2:1'];
    const one = serve(startup);
    await one.until('start', () => one.report('started') !== undefined);
    const { passes, text } = await untilTold(one, 'startup', 1);
    assert.deepEqual([passes, text], [false, 'HTTP status 503']);
    await pause(500);
    assert.deepEqual(one.events(), ['started', 'probe']);
    answer('status 200');
    await untilTold(one, 'liveness', 1);
    await untilTold(one, 'startup', 2);
    const events = one.reports.map(({ event, probe = '' }) => `${event} ${probe}`.trim());
    assert.deepEqual([...events].sort(), ['probe liveness', 'probe startup', 'probe startup', 'ready', 'started']);
  });

  it('end the start when the startup probe has failed as often as it may', async () => {
    answer('status 500');
    const one = serve(['--probe=startup:http:20:500:3:1', '--probe-path=/']);
    assert.equal(await one.ended, 70);
    const failed = one.report('setup-failed');
    assert.deepEqual([failed?.step, failed?.error], ['startup-probe', 'HTTP status 500']);
    assert.equal(one.report('ready'), undefined);
  });

  it('count in a row: so many failures, so many passes', async () => {
    answer('status 200');
    const one = serve(['--probe=readiness:http:100:5000:4:3', '--probe-path=/']);
    assert.equal((await untilTold(one, 'readiness', 1)).passes, true);
    answer('status 500');
    await pause(150);
    answer('status 200');
    await pause(1200);
    assert.equal(told(one, 'readiness').length, 1);
  });

  it('report one that changes all the time once a second, and how it is at last', async () => {
    answer('status 200');
    const one = serve(['--probe=readiness:http:10:5000:1:1', '--probe-path=/']);
    await untilTold(one, 'readiness', 1);
    const end = performance.now() + 2000;
    for (let n = 0; performance.now() < end; n++) {
      answer(n % 2 === 0 ? 'status 500' : 'status 200');
      await pause(40);
    }
    answer('status 200');
    await pause(1500);
    const all = told(one, 'readiness');
    assert.ok(all.length >= 2 && all.length <= 5, `${all.length} reports`);
    assert.equal(all.at(-1)?.passes, true);
  });

  const words = (...command: string[]) => command.map((word) => `--probe-word=${word}`);
  const command = (timeout: number, ...words_: string[]) => [
    `--probe=liveness:command:50:${timeout}:2:1`,
    ...words(...words_),
  ];
  const sleeper = [payload('probe'), 'sleep', '600000'];

  it('by a command pass with status 0, under the walls of the payload', async () => {
    const out = join(place.path, 'state');
    writeFileSync(out, '');
    chmodSync(out, 0o666);
    const script = `${payload('probe')} state >${out}.new; cat ${out}.new >${out}; exit 0`;
    chmodSync(place.path, 0o777);
    const options = ['--listen=web', '--nofile=77', ...command(5000, 'bash', '-c', script)];
    const listener = listenTcp({
      host: '127.0.0.1',
      port: 0,
      backlog: 1,
      reusePort: false,
    });
    const one = start(options, sleeper, { descriptors: [listener] });
    closeSync(listener);
    assert.equal((await untilTold(one, 'liveness', 1)).passes, true);
    const state = readFileSync(out, 'utf8');
    assert.match(state, /^status\tUid:\t1000\t1000\t1000\t1000$/m);
    assert.match(state, /^status\tGid:\t1001\t1001\t1001\t1001$/m);
    assert.match(state, /^status\tGroups:\t\s*$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(state, new RegExp(`^status\\tCap${set}:\\t0{16}$`, 'm'));
    assert.match(state, /^status\tNoNewPrivs:\t1$/m);
    assert.match(state, /^status\tSeccomp:\t2$/m);
    assert.match(state, /^status\tSeccomp_filters:\t1$/m);
    assert.match(state, /^oom\t1000$/m);
    assert.match(state, /^nofile\t77 77$/m);
    assert.doesNotMatch(state, /^env\t(LISTEN_|NOTIFY_)/m);
    // Standard streams alone: no socket of the plugin, and none to init.
    const fds = [...state.matchAll(/^fd\t(\d+) \w+ (.*)$/gm)].map(([, fd, target]) => `${fd} ${target}`);
    assert.deepEqual(
      fds.filter((fd) => !/^[012] /.test(fd) && !/\/state\.new$|\/proc\//.test(fd)),
      [],
    );
  });

  it('by a command fail with any other status, by a signal, and when there is no such program', async () => {
    const cases: [string[], string][] = [
      [['bash', '-c', 'exit 3'], 'the command ended with status 3'],
      [['bash', '-c', 'kill -SEGV $$'], 'the command was ended by signal 11'],
      [['/nonexistent'], 'the command could not be run: No such file or directory'],
    ];
    for (const [words_, text] of cases) {
      const one = start(command(5000, ...words_), sleeper);
      const { passes, asked, text: said } = await untilTold(one, 'liveness', 1);
      assert.deepEqual([passes, asked, said], [false, true, text]);
    }
  });

  it('by a command that makes a forbidden call end the command alone', async () => {
    const options = command(5000, payload('probe'), 'call', '101');
    const one = start(options, sleeper, { filter: compileFilter(place.path, 'native') });
    const { passes, text } = await untilTold(one, 'liveness', 1);
    assert.deepEqual([passes, text], [false, 'the command made a forbidden system call']);
    assert.equal(one.report('exit'), undefined);
  });

  it('by a command that takes too long end it with its group', async () => {
    const left = join(place.path, 'left');
    chmodSync(place.path, 0o777);
    const one = start(command(300, 'bash', '-c', `sleep 3021 & sleep 3021; touch ${left}`), sleeper);
    const { passes, text } = await untilTold(one, 'liveness', 1);
    assert.deepEqual([passes, text], [false, 'no answer within 300 ms']);
    one.child.kill('SIGSTOP');
    one.child.kill('SIGCONT');
    const inside = sleepsOf(3021);
    assert.ok(inside <= 2, `${inside} are left`);
    assert.ok(!existsSync(left));
  });

  it('by a command leave nothing behind that it began', async () => {
    const one = start(command(5000, 'bash', '-c', 'sleep 3022 & exit 0'), sleeper);
    await untilTold(one, 'liveness', 1);
    await pause(600);
    assert.ok(sleepsOf(3022) <= 1, `${sleepsOf(3022)} are left`);
  });

  it('that cannot be asked say so, and are no failure', async () => {
    // Of each user one process, which the prober is; nobody else here has the payload's number.
    const options = ['--uid=54321', '--probe=liveness:tcp:50:500:1:1', '--probe-port=7000'];
    const one = start(options, sleeper, { before: 'ulimit -u 1' });
    const { passes, asked, text } = await untilTold(one, 'liveness', 1);
    assert.deepEqual([passes, asked], [false, false]);
    assert.equal(text, 'could not be asked: no process to ask: Resource temporarily unavailable');
    await pause(1500);
    assert.equal(told(one, 'liveness').length, 1);
  });

  it('blame nobody for the time in which whoever asks was stopped', async () => {
    answer('status 200');
    const one = serve(['--probe=startup:tcp:50:5000:0:1', ...HTTP('100:1000:1:1')]);
    await untilTold(one, 'liveness', 1);
    const prober = proberOf(await one.innerPid());
    answer('silent');
    // In the middle of a question.
    await pause(300);
    process.kill(prober, 'SIGSTOP');
    await pause(1500);
    answer('status 200');
    process.kill(prober, 'SIGCONT');
    await one.until('a pass', () => told(one, 'liveness').length > 1 && told(one, 'liveness').at(-1)?.asked === true);
    const all = told(one, 'liveness');
    assert.ok(
      all.every(({ passes }) => passes === true),
      JSON.stringify(all),
    );
    assert.match(String(all[1]?.text), /^could not be asked: the prober itself was \d+ ms late$|^passed$/);
  });

  it('are told again to a supervisor that asks', async () => {
    answer('status 503');
    const one = serve(HTTP('50:5000:1:1'));
    const first = await untilTold(one, 'liveness', 1);
    await pause(100);
    process.kill(await one.innerPid(), PROBES_SIGNAL);
    assert.deepEqual(await untilTold(one, 'liveness', 2), first);
  });

  it('end the sandbox when the prober is lost, and say so', async () => {
    answer('status 200');
    const one = serve(HTTP());
    await untilTold(one, 'liveness', 1);
    process.kill(proberOf(await one.innerPid()), 'SIGKILL');
    assert.equal(await one.ended, 137);
    assert.equal(one.report('helper-lost')?.helper, 'prober');
  });

  it('leave the payload no way to the prober: neither by a signal nor by /proc', async () => {
    const options = ['--probe=liveness:command:50:500:2:1', ...words('true')];
    const script = [
      'sleep 0.2',
      // Not one of those by which it asks.
      'at=$(grep -l "^PPid:.1$" $(grep -l plugin-prober /proc/[0-9]*/comm | sed s/comm/status/) | xargs dirname)',
      'kill -9 $(basename $at); cat $at/environ $at/mem; sleep 600',
    ].join('\n');
    const one = start(options, ['bash', '-c', script]);
    await untilTold(one, 'liveness', 1);
    const prober = proberOf(await one.innerPid());
    await one.until('refusals', () => one.err.split('\n').length > 3);
    assert.match(one.err, /\(\d+\) - Operation not permitted/);
    assert.match(one.err, /environ: Permission denied\n.*mem: Permission denied/);
    assert.match(readFileSync(`/proc/${prober}/status`, 'utf8'), /^NoNewPrivs:\t1$/m);
  });

  it('give up all privileges where no command is asked for', async () => {
    answer('status 200');
    const one = serve(HTTP());
    await untilTold(one, 'liveness', 1);
    const status = readFileSync(`/proc/${proberOf(await one.innerPid())}/status`, 'utf8');
    assert.match(status, /^Uid:\t1003\t1003\t1003\t1003$/m);
    for (const set of ['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'])
      assert.match(status, new RegExp(`^Cap${set}:\\t0{16}$`, 'm'));
    assert.match(status, /^Seccomp:\t2$/m);
  });

  it('by signs of life fail when they stay away, and pass when they come again', async () => {
    const script = [
      'import os, socket, time',
      's = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.connect(os.environ["NOTIFY_SOCKET"])',
      's.send(b"READY=1")',
      'for n in range(10): s.send(b"WATCHDOG=1"); time.sleep(0.05)',
      'time.sleep(1.5)',
      'while True: s.send(b"WATCHDOG=1"); time.sleep(0.05)',
    ];
    const options = ['--ready=notify', '--probe=liveness:notify:100:100:3:1'];
    const one = start(options, ['python3', '-c', script.join('\n')]);
    assert.equal((await untilTold(one, 'liveness', 1)).passes, true);
    const { passes, text } = await untilTold(one, 'liveness', 2);
    assert.deepEqual([passes, text], [false, 'no WATCHDOG=1 within 300 ms']);
    assert.equal((await untilTold(one, 'liveness', 3)).passes, true);
  });

  it('end with the payload, and when it is asked to stop', async () => {
    answer('status 200');
    const one = serve(HTTP());
    await untilTold(one, 'liveness', 1);
    process.kill(await one.innerPid(), 'SIGTERM');
    assert.equal(await one.ended, 143);
    assert.equal(one.report('helper-lost'), undefined);
  });

  for (const options of [
    ['--probe=liveness:what:50:300:2:1'],
    ['--probe=other:tcp:50:300:2:1'],
    ['--probe=liveness:tcp:0:300:2:1'],
    ['--probe=liveness:tcp:50:300:2:0'],
    ['--probe=liveness:tcp:50:300:2'],
    ['--probe=liveness:tcp:50:300:2:1:x'],
    ['--probe=liveness:tcp:50:300:2:1', '--probe=liveness:tcp:50:300:2:1'],
    ['--probe=liveness:http:50:300:2:1'],
    ['--probe=liveness:command:50:300:2:1'],
    ['--probe=readiness:notify:50:300:2:1'],
    ['--probe=liveness:tcp:50:300:2:1', '--probe-port=65536'],
    ['--probe=liveness:tcp:50:300:2:1', '--probe-path=/'],
    ['--probe=liveness:http:50:300:2:1', '--probe-path=x'],
    ['--probe=liveness:http:50:300:2:1', '--probe-path=/a b'],
    ['--probe-port=80'],
    ['--probe-what=80'],
    ['--probe='],
  ])
    it(`are refused as ${options.join(' ')}`, async () => {
      const one = start(options, sleeper);
      assert.equal(await one.ended, 70);
      assert.equal(one.report('setup-failed')?.step, 'options');
    });
});

describe('the exit report of plugin-init', function () {
  this.timeout(30_000);
  before(prepare);

  for (const [what, script, left] of [
    ['a child that was left behind', 'sleep 600 & exit 3', true],
    ['a grandchild', '(sleep 600 &) ; exit 3', true],
    ['no child', 'sleep 0.01; exit 3', false],
    ['a zombie', 'sleep 0 & sleep 0.1; exit 3', false],
  ] as const)
    it(`tells of ${what}`, async () => {
      const place = scratch();
      const one = startInit({
        directory: place.path,
        options: ['--env=PATH=/usr/bin:/bin'],
        command: ['bash', '-c', script],
      });
      assert.equal(await one.ended, 3);
      assert.equal(one.report('exit')?.childrenLeft, left);
      place.remove();
    });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The child of init that is called so. */
function proberOf(init: number): number {
  const children = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim().split(' ').map(Number);
  const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'plugin-prober');
  assert.ok(found !== undefined, 'no prober');
  return found;
}

function sleepsOf(seconds: number): number {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return all.filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `sleep\0${seconds}\0`;
    } catch {
      return false;
    }
  }).length;
}
