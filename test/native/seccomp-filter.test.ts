import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenTcp, socketAddress } from '../../src/kernel/native.ts';
import {
  checkout,
  compileFilter,
  payload,
  prepare,
  type Running,
  sanitized,
  scratch,
  startInit,
} from './native-programs.ts';

/** Starts of each real program: as many as show a rare call, and fewer for those that take long to start. */
function startsOf(list: string): number {
  if (process.env.BULKHEAD_STARTS !== undefined) return Number(process.env.BULKHEAD_STARTS);
  return sanitized ? 10 : list === 'jvm' ? 25 : 200;
}

/** The shipped filters against real payloads: what they need works, what is forbidden kills. */
describe('seccomp filters', function () {
  this.timeout(60_000);
  let place: ReturnType<typeof scratch>;
  const running: Running[] = [];
  let built: string;
  before(function () {
    prepare.call(this);
    built = mkdtempSync(join(tmpdir(), 'bulkhead-programs-'));
    chmodSync(built, 0o755);
  });
  after(() => rmSync(built, { recursive: true, force: true }));
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

  function start(
    list: string,
    command: readonly string[],
    more: Partial<Parameters<typeof startInit>[0]> = {},
  ): Running {
    const started = startInit({ directory: place.path, filter: compileFilter(place.path, list), command, ...more });
    running.push(started);
    return started;
  }

  if (process.arch === 'x64') {
    const forbidden: { name: string; call: (number | string)[]; told?: string }[] = [
      { name: 'unshare(CLONE_NEWUSER)', call: [272, 0x10000000] },
      { name: 'clone(CLONE_NEWUSER)', call: [56, 0x10000011] },
      { name: 'clone(CLONE_NEWNET)', call: [56, 0x40000011] },
      { name: 'setns', call: [308, 0, 0] },
      { name: 'mount', call: [165] },
      { name: 'move_mount', call: [429] },
      { name: 'pivot_root', call: [155] },
      { name: 'chroot', call: [161] },
      { name: 'ptrace', call: [101, 0] },
      { name: 'process_vm_readv', call: [310] },
      { name: 'bpf', call: [321] },
      { name: 'perf_event_open', call: [298] },
      { name: 'keyctl', call: [250] },
      { name: 'userfaultfd', call: [323] },
      { name: 'open_by_handle_at', call: [304] },
      { name: 'name_to_handle_at', call: [303] },
      { name: 'kexec_load', call: [246] },
      { name: 'finit_module', call: [313] },
      { name: 'personality', call: [135] },
      { name: 'setuid', call: [105, 0] },
      { name: 'seccomp', call: [317, 1, 0, 0] },
      { name: 'pidfd_getfd', call: [438] },
      { name: 'socket(AF_VSOCK)', call: [41, 40, 1, 0] },
      { name: 'socket(AF_PACKET)', call: [41, 17, 3, 0] },
      { name: 'socket(AF_ALG)', call: [41, 38, 5, 0] },
      { name: 'ioctl(TIOCSTI)', call: [16, 0, 0x5412] },
      { name: 'ioctl(TIOCSTI) with upper bits', call: [16, 0, '0x100005412'] },
      { name: 'prctl(PR_SET_SECCOMP)', call: [157, 22, 2, 0] },
      { name: 'prctl(PR_SET_PTRACER)', call: [157, 0x59616d61, 1] },
      { name: 'a number that no call has', call: [999], told: '999' },
      { name: 'a negative number', call: [-1], told: '-1' },
      { name: 'getpid of x32', call: [0x40000000 + 39], told: 'x32:39' },
    ];
    for (const list of ['core', 'static', 'go', 'jvm', 'python', 'node', 'native']) {
      it(`${list}: forbidden calls end the payload as 134, and are named`, async () => {
        for (const { name, call, told } of forbidden) {
          const init = start(list, [payload('probe'), 'call', ...call.map(String)]);
          assert.equal(await init.ended, 134, `${name}: ${init.out}`);
          assert.equal(init.report('exit')?.status, 31, name);
          assert.equal(init.report('forbidden')?.call, told ?? name.split('(')[0]?.split(' ')[0]);
          assert.equal(init.report('forbidden')?.number, Number(call[0]));
        }
      });
    }

    it('32-bit calls end the payload as 134', async () => {
      const init = start('native', [payload('probe'), 'int80', '20']);
      assert.equal(await init.ended, 134, init.out);
      assert.equal(init.report('forbidden')?.call, '32-bit:20');
    });

    const notStatic: { name: string; call: number[] }[] = [
      { name: 'fork', call: [57] },
      { name: 'vfork', call: [58] },
      { name: 'clone', call: [56, 17] },
      { name: 'kill', call: [62, 0, 9] },
      { name: 'openat', call: [257, -100, 0, 0o100] },
      { name: 'openat', call: [257, -100, 0, 0o1001] },
      { name: 'open', call: [2, 0, 0] },
      { name: 'unlinkat', call: [263] },
      { name: 'mmap', call: [9, 0, 4096, 5, 0x22, -1, 0] },
      { name: 'mprotect', call: [10, 0, 4096, 5] },
      { name: 'bind', call: [49] },
      { name: 'socketpair', call: [53, 1, 1, 0] },
      { name: 'fcntl', call: [72, 0, 8, 0] },
      { name: 'prlimit64', call: [302, 1, 7, 0, 0] },
      { name: 'memfd_create', call: [319, 0, 0] },
    ];
    it('static: makes no files, children, sockets or code', async () => {
      for (const { name, call } of notStatic) {
        const init = start('static', [payload('probe'), 'call', ...call.map(String)]);
        assert.equal(await init.ended, 134, `${name}: ${init.out}`);
        assert.equal(init.report('forbidden')?.call, name);
      }
      const inet = start('static', [payload('probe'), 'call', '41', '2', '1', '0']);
      assert.equal(await inet.ended, 0);
      assert.equal(inet.out, 'result -97\n');
    });

    it('core: no protocol whose module the kernel would load', async () => {
      for (const [family, type, protocol] of [
        [2, 1, 132],
        [10, 5, 132],
        [2, 6, 33],
        [2, 2, 136],
      ]) {
        const init = start('core', [payload('probe'), 'call', '41', String(family), String(type), String(protocol)]);
        assert.equal(await init.ended, 134, `${protocol}: ${init.out}`);
        assert.equal(init.report('forbidden')?.call, 'socket');
      }
    });

    const answered: { name: string; call: number[]; result: number }[] = [
      { name: 'clone3', call: [435, 0, 0], result: -38 },
      { name: 'io_uring_setup', call: [425, 1, 0], result: -38 },
      { name: 'socket(AF_NETLINK)', call: [41, 16, 3, 0], result: -97 },
      { name: 'fchmodat2', call: [452, 0, 0, 0, 0], result: -38 },
      { name: 'socket(AF_INET)', call: [41, 2, 1, 0], result: 3 },
      { name: 'socket(AF_INET6, UDP)', call: [41, 10, 2, 17], result: 3 },
      { name: 'socket(AF_INET, MPTCP)', call: [41, 2, 1, 262], result: -93 },
      { name: 'ioctl(TIOCGWINSZ)', call: [16, 0, 0x5413, 0], result: -25 },
    ];
    for (const { name, call, result } of answered) {
      it(`${name} gives ${result}`, async () => {
        const init = start('core', [payload('probe'), 'call', ...call.map(String)]);
        assert.equal(await init.ended, 0, init.err);
        assert.equal(init.out, `result ${result}\n`);
      });
    }
  }

  const python = `
import asyncio, concurrent.futures, hashlib, http.server, json, logging, os, random, select, shutil, signal, socket, sqlite3, ssl
import sys, tempfile, threading, time, uuid, zlib
import ctypes, decimal, datetime, glob, mmap, multiprocessing.pool, platform
directory = tempfile.mkdtemp()
database = sqlite3.connect(directory + '/x.db', check_same_thread=False)
database.execute('pragma journal_mode=wal'); database.execute('create table t(a)')
lock = threading.Lock()
context = ssl.create_default_context()
async def later():
    await asyncio.sleep(0.001)
    return await asyncio.get_running_loop().run_in_executor(None, os.getpid)
def work():
    with lock:
        database.execute('insert into t values(?)', (time.time(),)); database.commit()
        rows = database.execute('select count(*) from t').fetchone()[0]
    with tempfile.TemporaryDirectory() as d:
        p = d + '/x'
        with open(p, 'wb') as f: f.write(os.urandom(1000)); f.flush(); os.fsync(f.fileno())
        shutil.copy2(p, p + '2'); os.rename(p, p + '3'); os.chmod(p + '3', 0o600); os.utime(p + '3'); os.symlink('a', d + '/l')
        os.listdir(d); glob.glob(d + '/*'); os.readlink(d + '/l'); os.mkdir(d + '/m'); os.truncate(p + '2', 10); shutil.disk_usage(d)
        with open(p + '3', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m: m[0:1] = b'x'; m.flush()
    asyncio.run(later())
    order = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
    numbers = (ctypes.c_int * 3)(3, 1, 2); ctypes.CDLL(None).qsort(numbers, 3, 4, order); assert list(numbers) == [1, 2, 3]
    for action in (lambda: socket.getaddrinfo('localhost', 80), lambda: socket.create_connection(('127.0.0.1', 1), 1), lambda: os.nice(1)):
        try: action()
        except OSError: pass
    with concurrent.futures.ThreadPoolExecutor(4) as pool: list(pool.map(abs, range(10)))
    os.cpu_count(); os.sched_getaffinity(0); os.getloadavg(); os.uname(); os.times(); platform.machine(); uuid.uuid4(); sys.stdout.isatty()
    return rows
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = json.dumps({'rows': work(), 'hash': hashlib.sha256(b'x').hexdigest()}).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
server = http.server.ThreadingHTTPServer(('', 0), Handler, bind_and_activate=False)
server.socket.close(); server.socket = socket.socket(fileno=3); server.daemon_threads = True
signal.signal(signal.SIGTERM, lambda *a: (shutil.rmtree(directory), os._exit(0)))
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s: s.connect(os.environ['NOTIFY_SOCKET']); s.sendall(b'READY=1\\nSTATUS=serving')
server.serve_forever()
`;
  const node = `
import http from 'node:http'; import fs from 'node:fs'; import zlib from 'node:zlib'; import crypto from 'node:crypto';
import os from 'node:os'; import net from 'node:net'; import dns from 'node:dns'; import { Worker } from 'node:worker_threads';
const directory = fs.mkdtempSync('/tmp/bulkhead-probe-');
async function work() {
  const d = fs.mkdtempSync(directory + '/'); const p = d + '/x';
  fs.writeFileSync(p, crypto.randomBytes(1000)); await fs.promises.copyFile(p, p + '2'); fs.copyFileSync(p, p + '4', fs.constants.COPYFILE_FICLONE);
  await fs.promises.rename(p, p + '3'); fs.readdirSync(d); fs.chmodSync(p + '3', 0o600); fs.utimesSync(p + '3', 1, 1);
  fs.symlinkSync('a', d + '/l'); fs.readlinkSync(d + '/l'); fs.truncateSync(p + '3', 3); fs.statfsSync(d); fs.appendFileSync(p + '3', 'x');
  const f = fs.openSync(p + '3', 'r+'); fs.fsyncSync(f); fs.closeSync(f); fs.watch(d, () => {}).close(); fs.rmSync(d, { recursive: true });
  zlib.gzipSync(Buffer.alloc(10000)); await new Promise((r) => zlib.brotliCompress(Buffer.alloc(1000), r));
  await new Promise((r) => crypto.scrypt('a', 'b', 32, r)); crypto.generateKeyPairSync('ed25519');
  os.cpus(); os.totalmem(); os.hostname(); os.loadavg(); process.memoryUsage(); process.resourceUsage(); os.release();
  try { os.setPriority(1); } catch {} try { os.networkInterfaces(); } catch {}
  await new Promise((r) => dns.lookup('localhost', r)); await new Promise((r) => net.connect(1, '127.0.0.1').on('error', r));
  const worker = new Worker("require('worker_threads').parentPort.postMessage(require('crypto').randomUUID())", { eval: true });
  const id = await new Promise((r, j) => worker.on('message', r).on('error', j)); await worker.terminate(); return id;
}
new WebAssembly.Module(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
http.createServer(async (q, r) => { try { r.end(JSON.stringify({ rows: 1, id: await work() })); } catch (e) { r.statusCode = 500; r.end(String(e.stack)); } })
  .listen({ fd: 3 }, () => fs.writeSync(1, 'listening\\n'));
process.on('SIGTERM', () => { fs.rmSync(directory, { recursive: true }); process.exit(0); });
`;
  const children = `
import os, subprocess, multiprocessing
assert subprocess.run(['/bin/sh', '-c', 'echo child | cat; exit 5'], timeout=10).returncode == 5
pid = os.fork()
if pid == 0: os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
async def run():
    import asyncio
    p = await asyncio.create_subprocess_exec('/bin/true'); return await p.wait()
import asyncio
assert asyncio.run(run()) == 0
`;
  /** What the SDK does with a large binary, both ways. */
  const bodies = `
import array, fcntl, os, socket, sys, termios
sys.path.insert(0, ${JSON.stringify(join(checkout, 'src', 'rpc', 'python'))})
from bulkhead import Descriptor
from bulkhead.codec import Mention
from bulkhead.enclosed import Enclosed
from bulkhead.enclosing import encode_response
here, there = socket.socketpair()
message, going = encode_response(1, [b'x' * 5_000_000, Descriptor(here)], 1 << 22, {'body', 'descriptor'})
here.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', going.fds))])
assert fcntl.ioctl(here, termios.TIOCOUTQ, bytes(4)) != bytes(4)
_, [(_, _, rights)], _, _ = there.recvmsg(100, socket.CMSG_SPACE(64), socket.MSG_CMSG_CLOEXEC)
mentions, values = [Mention(0, 5_000_000), Mention(1, None)], [None, None]
for index, mention in enumerate(mentions): mention.container, mention.key = values, index
enclosed = Enclosed(mentions, array.array('i', rights))
enclosed.read()
print(values[0] == b'x' * 5_000_000, os.path.sameopenfile(values[1].fileno(), here.fileno()))
enclosed.close()
`;

  const programs = join(checkout, 'test', 'native', 'programs');
  const packages = (...names: string[]) => execFileSync(join(checkout, 'test', 'host', 'packages'), names);

  /** The compiler's cache stays in build: only the first time takes half a minute. */
  function buildGo(directory: string): string {
    const out = join(directory, 'hello-go');
    if (existsSync(out)) return out;
    packages('golang-go');
    const env = {
      ...process.env,
      GOCACHE: join(checkout, 'build', 'go-cache'),
      GO111MODULE: 'off',
      CGO_ENABLED: '0',
    };
    execFileSync('go', ['build', '-o', out, join(programs, 'hello.go')], { env });
    return out;
  }

  function buildJava(directory: string): string {
    packages('default-jdk-headless');
    execFileSync('javac', ['-d', directory, join(programs, 'Hello.java')]);
    return directory;
  }

  const servers: {
    what: string;
    list: string;
    file?: [string, string];
    /** Makes the program in the directory; returns its path. */
    build?: (directory: string) => string;
    command: (file: string) => string[];
    ready?: 'notify';
  }[] = [
    { what: 'a static C server', list: 'core', command: () => [payload('server')] },
    { what: 'a dynamic C server', list: 'core', command: () => [payload('server-dynamic')] },
    { what: 'a static C server', list: 'static', command: () => [payload('server')] },
    { what: 'a static C server', list: 'native', command: () => [payload('server')] },
    { what: 'a dynamic C server', list: 'native', command: () => [payload('server-dynamic')] },
    {
      what: 'a Python server',
      list: 'python',
      file: ['server.py', python],
      command: (file) => ['/usr/bin/python3', file],
      ready: 'notify',
    },
    { what: 'a Go server', list: 'go', build: buildGo, command: (file) => [file] },
    {
      what: 'a Java server',
      list: 'jvm',
      build: buildJava,
      // The JVM takes a listening socket as its standard input only.
      command: (file) => [
        '/bin/sh',
        '-c',
        'exec java -XX:+ErrorFileToStderr -Xmx128m -cp "$1" Hello child <&3',
        'sh',
        file,
      ],
    },
    { what: 'a Node server', list: 'node', file: ['server.mjs', node], command: (file) => ['/usr/bin/node', file] },
  ];
  for (const { what, list, file, build, command, ready } of servers) {
    let program: string | undefined;
    /** Started, asked so many times at once, and told to end, or made to crash. */
    async function serveOnce(times: number, crash = false): Promise<void> {
      if (build !== undefined) program ??= build(built);
      const path = program ?? (file === undefined ? '' : join(place.path, file[0]));
      if (file !== undefined) writeFileSync(path, file[1], { mode: 0o644 });
      const listener = listenTcp({ host: '127.0.0.1', port: 0, backlog: 64, reusePort: false });
      const address = socketAddress(listener);
      const init = start(list, command(path), {
        descriptors: [listener],
        options: [
          '--listen=http',
          '--env=PATH=/usr/bin:/bin',
          '--env=HOME=/tmp',
          '--env=LANG=C.UTF-8',
          `--ready=${ready ?? 'exec'}`,
        ],
      });
      closeSync(listener);
      const url = `http://127.0.0.1:${address.family === 'unix' ? 0 : address.port}/`;
      await Promise.all(
        Array.from({ length: times }, async (_, i) => {
          const answer = await request(url, i % 2 === 0);
          assert.equal(answer.status, 200, `${answer.body} ${init.err} ${JSON.stringify(init.reports)}`);
        }),
      ).catch((error: unknown) => {
        throw new Error(`${String(error)} ${init.err} ${JSON.stringify(init.reports)}`);
      });
      if (ready === 'notify') await init.until('status', () => init.report('status')?.text === 'serving');
      if (crash) {
        process.kill(childOf(await init.innerPid()), 'SIGSEGV');
        assert.notEqual(await init.ended, 0);
        assert.equal(init.report('forbidden'), undefined, JSON.stringify(init.reports));
        assert.ok(init.report('exit') !== undefined);
        return;
      }
      process.kill(await init.innerPid(), 'SIGTERM');
      // The JVM ends in good order and says 143 all the same.
      assert.equal(await init.ended, list === 'jvm' ? 143 : 0, `${init.err} ${JSON.stringify(init.reports)}`);
    }

    it(`${list}: ${what} serves, and ends when told to`, async function () {
      // Its tools may have to be installed first.
      this.timeout(300_000);
      await serveOnce(12);
    });

    const starts = startsOf(list);
    it(`${list}: ${what} starts ${starts} times without a kill: serves, and ends or crashes`, async function () {
      this.timeout(60_000 + starts * 5000);
      for (let n = 0; n < starts; n++) await serveOnce(1, n % 2 === 1);
    });
  }

  it('python: children run, under the same filter', async () => {
    const file = join(place.path, 'children.py');
    writeFileSync(file, children, { mode: 0o644 });
    const init = start('python', ['/usr/bin/python3', file], { options: ['--env=PATH=/usr/bin:/bin'] });
    assert.equal(await init.ended, 0, init.err);
    assert.match(init.out, /child/);
  });

  it('python: large binaries go as files in memory, and descriptors, under the same filter', async () => {
    const file = join(place.path, 'bodies.py');
    writeFileSync(file, bodies, { mode: 0o644 });
    const init = start('python', ['/usr/bin/python3', '-B', file]);
    assert.equal(await init.ended, 0, init.err);
    assert.equal(init.out, 'True True\n');
  });

  it('node: children run, under the same filter', async () => {
    const script =
      "const r = require('child_process').spawnSync('/bin/sh', ['-c', 'echo child | cat; exit 5']); require('fs').writeSync(1, r.stdout); process.exit(r.status === 5 ? 0 : 1)";
    const init = start('node', ['/usr/bin/node', '-e', script], { options: ['--env=PATH=/usr/bin:/bin'] });
    assert.equal(await init.ended, 0, init.err);
    assert.match(init.out, /child/);
  });

  /** The only child of a process, as this host numbers it. */
  function childOf(pid: number): number {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    assert.match(children, /^\d+$/);
    return Number(children);
  }

  function request(url: string, keepAlive: boolean): Promise<{ status: number; body: string }> {
    return new Promise((settle, fail) => {
      const sent = get(
        url,
        { headers: { connection: keepAlive ? 'keep-alive' : 'close' }, agent: false, timeout: 20_000 },
        (answer) => {
          let body = '';
          answer.on('data', (chunk: Buffer) => {
            body += chunk.toString();
          });
          answer.on('end', () => settle({ status: answer.statusCode ?? 0, body }));
        },
      );
      sent.on('error', fail);
    });
  }
});
