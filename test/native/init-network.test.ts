import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenTcp, openProcess, queueSignal, socketAddress } from '../../src/kernel/native.ts';
import { descriptorOf } from './descriptor-of.ts';
import { messages, payload, prepare, type Running, scratch, startInit, startSink } from './native-programs.ts';

/** A forwarder that is played by the test: the other end of init's last descriptor. */
class FakeForwarder {
  readonly theirs: Socket;
  readonly #socket: Socket;
  readonly #server: Server;
  readonly #directory: string;
  heard = '';

  private constructor(theirs: Socket, socket: Socket, server: Server, directory: string) {
    this.theirs = theirs;
    this.#socket = socket;
    this.#server = server;
    this.#directory = directory;
    socket.on('error', () => {});
    // Descriptors that come along are closed by the kernel, because Node does not ask for them.
    socket.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString();
    });
  }

  static async make(): Promise<FakeForwarder> {
    const directory = mkdtempSync(join(tmpdir(), 'bulkhead-init-'));
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(directory, 'control'), resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const theirs = connect(join(directory, 'control'));
    return new FakeForwarder(theirs, await accepted, server, directory);
  }

  say(text: string): void {
    this.#socket.write(text);
  }

  close(): void {
    this.theirs.destroy();
    this.#socket.destroy();
    this.#server.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

describe("init's part in the network", function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  const running: Running[] = [];
  const open: number[] = [];
  let forwarder: FakeForwarder | undefined;
  before(prepare);
  beforeEach(() => {
    place = scratch();
  });
  afterEach(async () => {
    for (const one of running.splice(0)) {
      one.kill();
      await one.ended;
    }
    for (const fd of open.splice(0)) closeSync(fd);
    forwarder?.close();
    forwarder = undefined;
    place.remove();
  });

  function start(given: Partial<Parameters<typeof startInit>[0]> & { command: readonly string[] }): Running {
    const started = startInit({ directory: place.path, ...given });
    running.push(started);
    return started;
  }
  function listener(): number {
    const fd = listenTcp({ host: '127.0.0.1', port: 0, backlog: 16, reusePort: false });
    open.push(fd);
    return fd;
  }
  const portOf = (fd: number): number => {
    const address = socketAddress(fd);
    return address.family === 'unix' ? 0 : address.port;
  };

  describe('for a forwarder', () => {
    const OWN = {
      network: true,
      options: ['--egress=10.1.2.3:80', '--egress=[2001:db8::1]:443', '--egress=127.83.0.1:7'],
    };

    async function withForwarder(command: readonly string[]): Promise<{ init: Running; fake: FakeForwarder }> {
      const fake = await FakeForwarder.make();
      forwarder = fake;
      const init = start({ ...OWN, command, descriptors: [descriptorOf(fake.theirs)] });
      fake.theirs.destroy();
      return { init, fake };
    }

    it('makes its sockets, runs nothing before they are taken, and keeps no way to them', async () => {
      const { init, fake } = await withForwarder([payload('probe'), 'state']);
      await init.until('sockets', () => fake.heard === 'listeners 3\n');
      assert.deepEqual(init.reports, []);
      fake.say('ready\n');
      assert.equal(await init.ended, 0, init.err);
      assert.deepEqual(init.events(), ['started', 'ready', 'exit']);
      assert.doesNotMatch(init.out, /^fd\t[3-9] open/m);
    });

    it('kills the payload when it ends, and says why', async () => {
      const { init, fake } = await withForwarder(['/bin/sleep', '1000']);
      await init.until('sockets', () => fake.heard !== '');
      fake.say('ready\n');
      await init.until('start', () => init.events().includes('ready'));
      fake.close();
      assert.equal(await init.ended, 137, init.err);
      assert.deepEqual(init.events(), ['started', 'ready', 'helper-lost', 'exit']);
      assert.equal(init.report('helper-lost')?.helper, 'egress');
    });

    for (const [what, answer] of [
      ['it says something else', 'later\n'],
      ['it goes', ''],
    ] as const) {
      it(`runs nothing when ${what}`, async () => {
        const { init, fake } = await withForwarder(['/bin/true']);
        await init.until('sockets', () => fake.heard !== '');
        if (answer === '') fake.close();
        else fake.say(answer);
        assert.equal(await init.ended, 70);
        assert.equal(init.report('setup-failed')?.step, 'network');
        assert.equal(init.report('started'), undefined);
      });
    }

    it('runs nothing when its socket did not come', async () => {
      const init = start({ ...OWN, command: ['/bin/true'] });
      assert.equal(await init.ended, 70);
      assert.equal(init.report('setup-failed')?.step, 'descriptors');
    });

    for (const value of ['10.1.2.3', '10.1.2.3:0', 'api.test:80', '[10.1.2:80', ':80', '10.1.2.3:99999']) {
      it(`takes '${value}' for no endpoint`, async () => {
        const init = start({ command: ['/bin/true'], options: [`--egress=${value}`] });
        assert.equal(await init.ended, 70);
        assert.equal(init.report('setup-failed')?.step, 'options');
      });
    }
  });

  describe('for a program that binds a port of its own', () => {
    /** Listens after a while, and answers each connection with a word. */
    const server = (port: number, seconds: number, rest = 'serve()') => [
      '/usr/bin/python3',
      '-c',
      `
import socket, time
def serve():
    s = socket.create_server(('127.0.0.1', ${port}))
    while True:
        c, _ = s.accept()
        try: c.sendall(b'hello'); c.close()
        except OSError: pass
time.sleep(${seconds})
${rest}
`,
    ];
    const PYTHON = ['--env=PATH=/usr/bin', '--start-timeout=20000'];

    function hello(port: number): Promise<string> {
      return new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port });
        let said = '';
        socket.on('data', (chunk: Buffer) => {
          said += chunk.toString();
        });
        socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
        socket.on('close', () => resolve(said));
      });
    }

    it('takes connections when that listens, and is ready then', async () => {
      const fd = listener();
      const init = start({
        network: true,
        options: [...PYTHON, '--to=4000'],
        descriptors: [fd],
        command: server(4000, 1),
      });
      await init.until('start', () => init.events().includes('started'));
      const began = Date.now();
      const waiting = Promise.all([hello(portOf(fd)), hello(portOf(fd))]);
      assert.deepEqual(init.events(), ['started']);
      assert.deepEqual(await waiting, ['hello', 'hello']);
      assert.ok(Date.now() - began > 500, `${Date.now() - began} ms`);
      await init.until('readiness', () => init.events().includes('ready'));
    });

    it('tells systemd only when all ports listen, and the program is ready, too', async () => {
      const sink = await startSink(join(place.path, 'notify'));
      running.push(sink);
      const ready =
        "import os; n = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); n.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])";
      const both = `one = socket.create_server(('127.0.0.1', 4000)); time.sleep(1); ${ready}; time.sleep(1); two = socket.create_server(('127.0.0.1', 4001)); time.sleep(100)`;
      const init = start({
        network: true,
        options: [...PYTHON, '--ready=notify', '--to=4000', '--to=4001'],
        descriptors: [listener(), listener()],
        command: server(4000, 0, both),
        environment: { NOTIFY_SOCKET: join(place.path, 'notify') },
      });
      await init.until('start', () => init.events().includes('started'));
      const began = Date.now();
      await init.until('readiness', () => init.events().includes('ready'), 10_000);
      assert.ok(Date.now() - began > 1500, `${Date.now() - began} ms`);
      // It came first, through another socket, which this process may read later.
      await init.until('word of it at systemd', () => messages(sink).length > 0);
      assert.deepEqual(messages(sink), ['READY=1']);
    });

    it('obeys the gate: held it is ready and takes nothing, and what waits is taken when it opens', async () => {
      const fd = listener();
      const options = [...PYTHON, '--to=4000', '--gate=held'];
      const init = start({ network: true, options, descriptors: [fd], command: server(4000, 0) });
      await init.until('readiness', () => init.events().includes('ready'));
      const tell = async (gate: number): Promise<void> => {
        const before = init.reports.length;
        const process = openProcess(await init.innerPid());
        queueSignal(process, 35, gate);
        closeSync(process);
        await init.until('answer', () => init.reports.length > before);
      };
      const waiting = hello(portOf(fd));
      let answered = false;
      void waiting.then(() => {
        answered = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      assert.ok(!answered);
      await tell(0);
      assert.equal(await waiting, 'hello');
      await tell(2);
      const late = hello(portOf(fd));
      await new Promise((resolve) => setTimeout(resolve, 300));
      await tell(0);
      assert.equal(await late, 'hello');
      assert.deepEqual(
        init.reports.slice(2).map(({ gate }) => gate),
        ['open', 'shut', 'open'],
      );
    });

    it('gives the program only its other sockets, and confines the adapter', async () => {
      const [handed, adapted] = [listener(), listener()];
      const init = start({
        network: true,
        options: [...PYTHON, '--listen=web', '--to=4000'],
        descriptors: [handed, adapted],
        command: server(4000, 0),
      });
      await init.until('readiness', () => init.events().includes('ready'));
      const pid = await init.innerPid();
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
      assert.equal(children.length, 2);
      const [program = '', adapter = ''] = children;
      assert.match(readFileSync(`/proc/${program}/environ`, 'latin1'), /LISTEN_FDNAMES=web\0LISTEN_FDS=1\0/);
      const status = readFileSync(`/proc/${adapter}/status`, 'utf8');
      assert.match(status, /^Name:\tplugin-adapter$/m);
      assert.match(status, /^Uid:\t1001\t1001\t1001\t1001$/m);
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.match(status, new RegExp(`^${set}:\\t0{16}$`, 'm'));
      assert.match(status, /^NoNewPrivs:\t1$/m);
      assert.match(status, /^Seccomp:\t2$/m);
    });

    it('takes no connection any more when it is asked to stop, and lets those end that it has', async () => {
      const fd = listener();
      const slow = `
import signal
signal.signal(signal.SIGTERM, lambda *_: None)
s = socket.create_server(('127.0.0.1', 4000))
s.settimeout(0.2)
end = time.monotonic() + 20
while time.monotonic() < end:
    try: c, _ = s.accept()
    except TimeoutError: continue
    if c.recv(1) == b'': continue
    time.sleep(1)
    c.sendall(b'late'); c.close()
    break
`;
      const init = start({
        network: true,
        options: [...PYTHON, '--to=4000'],
        descriptors: [fd],
        command: server(4000, 0, slow),
      });
      await init.until('readiness', () => init.events().includes('ready'));
      const socket = connect({ host: '127.0.0.1', port: portOf(fd) });
      const answer = new Promise<string>((resolve) => socket.on('data', (chunk: Buffer) => resolve(chunk.toString())));
      socket.write('x');
      await new Promise((resolve) => setTimeout(resolve, 300));
      process.kill(await init.innerPid(), 'SIGTERM');
      await init.until('stop', () => init.events().includes('stopping'));
      const later = connect({ host: '127.0.0.1', port: portOf(fd) });
      let told = '';
      later.on('data', () => {
        told = 'data';
      });
      later.on('close', () => {
        told ||= 'close';
      });
      later.write('y');
      assert.equal(await answer, 'late');
      assert.equal(await init.ended, 0, init.err);
      // It waits in the socket for whoever comes next.
      assert.equal(told, '');
      later.destroy();
    });

    it('kills the payload when the adapter ends', async () => {
      const init = start({
        network: true,
        options: [...PYTHON, '--to=4000'],
        descriptors: [listener()],
        command: server(4000, 0),
      });
      await init.until('readiness', () => init.events().includes('ready'));
      const pid = await init.innerPid();
      const adapter = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[1];
      process.kill(Number(adapter), 'SIGKILL');
      assert.equal(await init.ended, 137);
      assert.equal(init.report('helper-lost')?.helper, 'adapter');
    });

    it('needs to know how long to wait', async () => {
      const init = start({ options: ['--to=4000'], descriptors: [listener()], command: ['/bin/true'] });
      assert.equal(await init.ended, 70);
      assert.match(String(init.report('setup-failed')?.error), /--start-timeout is missing/);
    });
  });
});
