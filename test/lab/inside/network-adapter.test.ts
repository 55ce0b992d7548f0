import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { HttpLoad } from '../../support/load.ts';
import {
  declare,
  killSupervisor,
  must,
  pidsOf,
  readySandboxes,
  run,
  status,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { expectWhole } from './audit-lab.ts';

const NAME = 'own-port';
const PORT = 9411;
const PATH = '/run/plugin/own-port.sock';

/** Python's own server, which knows nothing of sockets that are handed in, after a while of getting ready. */
const SERVER = `
import http.server, os, sys, time
time.sleep(float(sys.argv[1]))
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = b'from %s, seen as %s' % (os.environ['BULKHEAD_SANDBOX'].encode(), self.client_address[0].encode())
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(('', 8000), Answer).serve_forever()
`;

function declareServer(isolation: string, size: number, seconds: number, more: readonly string[] = []): void {
  declare(NAME, [
    'template: python',
    `exec: [/usr/bin/python3, -c, ${JSON.stringify(SERVER)}, "${seconds}"]`,
    `isolation: ${isolation}`,
    `listen: [{ tcp: 127.0.0.1:${PORT}, to: 8000 }, { unix: ${PATH}, to: 8000 }]`,
    `pool: { size: ${size} }`,
    'limits: { tasks: 300 }',
    ...more,
  ]);
}

const load = (connections: number, keepAlive: boolean, requests?: number) =>
  new HttpLoad({
    target: { host: '127.0.0.1', port: PORT },
    connections,
    keepAlive,
    ...(requests === undefined ? {} : { requests }),
  });

for (const isolation of ['nspawn', 'scope']) {
  describe(`a program that binds a port of its own, in ${isolation}`, function () {
    this.timeout(120_000);
    afterEach(() => uninstall(NAME));

    it('is served over TCP and a Unix socket, and gets neither', async () => {
      declareServer(isolation, 1, 0);
      await systemctl('start', `plugin@${NAME}`);
      await untilWhole(NAME, 1);
      for (const target of ['-s http://127.0.0.1:9411/', `-s --unix-socket ${PATH} http://x/`]) {
        const answer = await must('sh', '-c', `curl ${target}`);
        assert.match(answer, /^from own-port-a-g\d+, seen as 127\.0\.0\.1$/);
      }
      const [sandbox] = await readySandboxes(NAME);
      const environment = await must('cat', `/proc/${sandbox?.payloadPid}/environ`);
      assert.ok(!environment.includes('LISTEN_'), environment);
      assert.deepEqual((await load(8, true, 400).finished()).lost, []);
      await expectWhole(NAME);
      assert.equal((await status(NAME)).listeners[0]?.to, 8000);
      assert.match(await must('bulkheadctl', 'plan', NAME), /forwarded to 127\.0\.0\.1:8000 inside/);
    });

    it('is ready when it listens, and connections wait until then', async () => {
      declareServer(isolation, 1, 2);
      const starting = systemctl('start', `plugin@${NAME}`);
      let answered: Promise<string> | undefined;
      await until('the socket is there', async () => {
        answered = must('curl', '-s', '--max-time', '20', `http://127.0.0.1:${PORT}/`);
        return answered.then(
          () => true,
          () => false,
        );
      });
      // The very first that was not refused has its answer; by then the start is done.
      assert.match((await answered) ?? '', /^from own-port/);
      await starting;
      const text = await must('journalctl', '-q', '--no-pager', '-o', 'json', '-u', 'bulkheadd', '-n', '50');
      const events = text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { readonly MESSAGE: string; readonly __MONOTONIC_TIMESTAMP: string });
      const at = (word: string): number =>
        Number(
          events.findLast(({ MESSAGE }) => MESSAGE.includes('own\\x2dport-a') && MESSAGE.includes(word))
            ?.__MONOTONIC_TIMESTAMP,
        );
      const took = (at(': ready') - at(': starting')) / 1e6;
      assert.ok(took > 1.9 && took < 10, `ready after ${took} s`);
    });

    it('fails to start when it never listens, after the start timeout', async () => {
      declareServer(isolation, 1, 1000, ['health: { start-timeout: 2s }', 'recovery: { budget: { restarts: 0 } }']);
      const { status: code } = await run('systemctl', 'start', `plugin@${NAME}`);
      assert.notEqual(code, 0);
      assert.equal((await status(NAME)).reason?.code, 'BH303');
    });

    it('loses only what was in hand when it is killed, and refuses nobody, in a pool of two under load', async () => {
      declareServer(isolation, 2, 0);
      await systemctl('start', `plugin@${NAME}`);
      await untilWhole(NAME, 2);
      const connections = 8;
      const http = load(connections, false);
      await http.more(200);
      const kills = 4;
      for (let kill = 0; kill < kills; kill++) {
        const [sandbox] = await untilWhole(NAME, 2);
        await must('kill', '-KILL', String(sandbox?.payloadPid));
        await untilReplaced(NAME, 2, sandbox?.unit ?? '');
        await http.more(100);
      }
      const { ok, lost } = await http.stop();
      assert.ok(ok > 600);
      assert.deepEqual(
        lost.filter(({ why }) => why !== 'reset' && why !== 'closed'),
        [],
      );
      assert.ok(lost.length <= kills * connections, `${lost.length} lost`);
      await expectWhole(NAME);
    });

    it('is replaced when its adapter dies, which is said', async () => {
      declareServer(isolation, 1, 0);
      await systemctl('start', `plugin@${NAME}`);
      const [sandbox] = await untilWhole(NAME, 1);
      await must('pkill', '-KILL', '-x', 'plugin-adapter');
      await untilReplaced(NAME, 1, sandbox?.unit ?? '');
      const log = await must('journalctl', '-q', '--no-pager', '-o', 'cat', '-u', 'bulkheadd', '-n', '30');
      assert.ok(log.includes(`'${sandbox?.unit}': killed because the adapter to its ports ended`), log);
      assert.deepEqual((await load(2, false, 20).finished()).lost, []);
    });

    it('serves on while the supervisor is killed, and takes what is in hand to its end when it is stopped', async () => {
      declareServer(isolation, 1, 0);
      await systemctl('start', `plugin@${NAME}`);
      const before = await untilWhole(NAME, 1);
      const http = load(4, false);
      await http.more(50);
      await killSupervisor();
      await http.more(200);
      const { lost } = await http.stop();
      assert.deepEqual(lost, []);
      assert.deepEqual(pidsOf(await untilWhole(NAME, 1)), pidsOf(before));
    });
  });
}

describe('a server from a package, which can only bind a port of its own', function () {
  this.timeout(120_000);

  it('is served on the very port that the host listens on', async () => {
    declare(NAME, [
      'template: python',
      'exec: [/usr/bin/python3, -m, http.server, "9412", --directory, /usr/share/common-licenses]',
      'listen: [{ tcp: 127.0.0.1:9412, to: 9412 }]',
    ]);
    try {
      await systemctl('start', `plugin@${NAME}`);
      const [sandbox] = await untilWhole(NAME, 1);
      const licence = () => must('curl', '-s', '--max-time', '20', 'http://127.0.0.1:9412/Apache-2.0');
      const text = readFileSync('/usr/share/common-licenses/Apache-2.0', 'utf8');
      assert.equal(await licence(), text);
      await expectWhole(NAME);
      await must('kill', '-KILL', String(sandbox?.payloadPid));
      // The socket stays: what comes now waits for the next one.
      await until('the death is seen', async () =>
        (await readySandboxes(NAME)).every(({ unit }) => unit !== sandbox?.unit),
      );
      assert.equal(await licence(), text);
      await untilReplaced(NAME, 1, sandbox?.unit ?? '');
    } finally {
      await uninstall(NAME);
    }
  });
});
