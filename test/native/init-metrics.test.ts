import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prepare, type Report, type Running, scratch, startInit } from './native-programs.ts';

/** Answers each connection with what a file holds at that moment; `hang` and `endless` are as they say. */
const SERVER = `
import socket, sys, threading, time
listener = socket.create_server(("127.0.0.1", 9090))
def serve(client):
    try:
        asked = client.recv(4096).decode()
        what = open(sys.argv[1], "rb").read()
        print("asked", asked.split("\\r\\n")[0], flush=True)
        if what == b"hang": time.sleep(600)
        while what == b"endless": client.sendall(b"x" * 65536)
        client.sendall(what)
    except OSError:
        pass
    client.close()
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
`;

/** As src/kernel/init-signal.ts sends it. */
const METRICS_SIGNAL = 37;

const OPTIONS = [
  '--metrics-port=9090',
  '--metrics-path=/metrics',
  '--metrics-requests=http_requests_total',
  '--metrics-errors=http_errors_total',
  '--metrics-latency=http_seconds',
];

const GOOD = `# HELP http_requests_total All of them.
# TYPE http_requests_total counter
http_requests_total{method="GET",path="/a \\"b\\" \\\\ \\n,}"} 40 1700000000000
http_requests_total{method="POST",} 2
 http_errors_total\t3.0
http_requests_total_created 1.7e+09
up NaN

http_seconds_bucket{le="0.01",method="GET"} 20
http_seconds_bucket{method="POST",le="0.01"} 1
http_seconds_bucket{le="1e-3"} 5
http_seconds_bucket{le="+Inf",method="GET"} 42
http_seconds_sum 1.5
http_seconds_count 42
`;

describe('metrics that plugin-init asks for', function () {
  this.timeout(30_000);
  let place: ReturnType<typeof scratch>;
  let one: Running | undefined;
  before(prepare);
  beforeEach(() => {
    place = scratch();
    writeFileSync(join(place.path, 'server.py'), SERVER);
  });
  afterEach(async () => {
    one?.kill();
    await one?.ended;
    one = undefined;
    place.remove();
  });

  function start(options: readonly string[] = OPTIONS): Running {
    one = startInit({
      directory: place.path,
      options: ['--env=PATH=/usr/bin:/bin', ...options],
      command: ['python3', join(place.path, 'server.py'), join(place.path, 'what')],
      network: true,
    });
    return one;
  }

  function answers(body: string, head = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n'): void {
    writeFileSync(join(place.path, 'what'), `${head}${body}`);
  }

  /** Asks until there is one report more; whoever serves may not be there at first. */
  async function ask(init: Running): Promise<Report> {
    const told = () => init.reports.filter(({ event }) => event === 'metrics');
    const before = told().length;
    process.kill(await init.innerPid(), METRICS_SIGNAL);
    await init.until('a report of metrics', () => told().length > before);
    const report = told()[before];
    assert.ok(report !== undefined);
    return report;
  }

  async function serving(options?: readonly string[]): Promise<Running> {
    const init = start(options);
    await init.until('the program runs', () => init.reports.some(({ event }) => event === 'started'));
    for (let tries = 0; tries < 100; tries++) {
      const { error = '' } = await ask(init);
      if (!String(error).startsWith('no answer: Connection refused')) return init;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error('nobody serves');
  }

  it('are sums over all series, and a histogram in the order of its bounds', async () => {
    answers(GOOD);
    const init = await serving();
    const { requests, errors, all, buckets } = await ask(init);
    assert.deepEqual([requests, errors, all], [42, 3, 42]);
    assert.deepEqual(buckets, [
      [0.001, 5],
      [0.01, 21],
    ]);
    assert.match(init.out, /^asked GET \/metrics HTTP\/1\.0$/m);
  });

  it('are told as not there when they are not, and only when somebody asks', async () => {
    answers('other 1\n');
    const init = await serving();
    const told = init.reports.filter(({ event }) => event === 'metrics').length;
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.equal(init.reports.filter(({ event }) => event === 'metrics').length, told);
    const { requests, errors, all, buckets } = await ask(init);
    assert.deepEqual([requests, errors, all, buckets], [null, null, null, []]);
  });

  it('are nothing at all when a single line is wrong', async () => {
    answers(GOOD);
    const init = await serving();
    for (const wrong of [
      'http_requests_total',
      'http_requests_total{',
      'http_requests_total{a="b"',
      'http_requests_total{a="b\\x"} 1',
      'http_requests_total{a=b} 1',
      'http_requests_total{"a"="b"} 1',
      'http_requests_total 0x10',
      'http_requests_total 1 2 3',
      'http_requests_total -1',
      'http_requests_total NaN',
      'http_requests_total 1e300',
      'http_requests_total +Inf',
      '1abc 1',
      `http_requests_total ${'9'.repeat(41)}`,
      `${'n'.repeat(129)} 1`,
      'http_seconds_bucket 1',
      'http_seconds_bucket{le="NaN"} 1',
      'http_seconds_bucket{le="-Inf"} 1',
      '\u0000\u0001\u00ff',
    ]) {
      answers(`up 1\n${wrong}\n${GOOD}`);
      const { error, requests } = await ask(init);
      assert.deepEqual([error, requests], ['line 2 is not of the text format of Prometheus', undefined], wrong);
    }
    const many = Array.from({ length: 25 }, (_, at) => `http_seconds_bucket{le="${at}"} 1\n`).join('');
    answers(many);
    assert.match(String((await ask(init)).error), /^line 25 /);
  });

  it('fit into one line of the report at their longest', async () => {
    const bounds = Array.from(
      { length: 24 },
      (_, at) => `http_seconds_bucket{le="-1.2345678${at + 10}e-300"} 375299968947541\n`,
    );
    answers(`${bounds.join('')}http_requests_total 9007199254740992\nhttp_errors_total 9007199254740992\n`);
    const init = await serving();
    const { buckets, requests } = await ask(init);
    assert.equal((JSON.parse(JSON.stringify(buckets)) as unknown[]).length, 24);
    assert.equal(requests, 9007199254740992);
  });

  it('say what is wrong with an answer: no HTTP, another status, too long, in pieces, none, never ending', async () => {
    answers(GOOD);
    const init = await serving();
    for (const [what, head, error] of [
      [GOOD, 'garbage\r\n\r\n', 'the answer is not HTTP, or comes in pieces'],
      [
        '4\r\nup 1\r\n0\r\n\r\n',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
        'the answer is not HTTP, or comes in pieces',
      ],
      [GOOD, 'HTTP/1.1 404 Not Found\r\n\r\n', 'HTTP status 404'],
      ['up 1\n'.repeat(14_000), undefined, 'more than 65536 bytes'],
      ['', '', 'no answer: the connection ended'],
      ['endless', '', 'more than 65536 bytes'],
      ['hang', '', 'no answer: Connection timed out'],
    ] as const) {
      answers(what, head);
      assert.equal((await ask(init)).error, error);
    }
    answers(GOOD);
    assert.equal((await ask(init)).requests, 42, 'afterwards it is asked as ever');
  });

  it('are one question at a time, however often somebody asks', async () => {
    answers('hang', '');
    const init = await serving();
    const before = init.reports.filter(({ event }) => event === 'metrics').length;
    const pid = await init.innerPid();
    for (let times = 0; times < 50; times++) process.kill(pid, METRICS_SIGNAL);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    const told = init.reports.filter(({ event }) => event === 'metrics').length - before;
    assert.ok(told >= 1 && told <= 3, `${told}`);
  });

  it('refuse options that are not whole, or name what can be no metric', async () => {
    for (const options of [
      ['--metrics-port=9090'],
      ['--metrics-path=/metrics'],
      ['--metrics-port=9090', '--metrics-path=/m'],
      ['--metrics-requests=a'],
      [...OPTIONS, '--metrics-port=9091'],
      ['--metrics-port=9090', '--metrics-path=m', '--metrics-requests=a'],
      ['--metrics-port=9090', '--metrics-path=/m', '--metrics-requests=a{b="c"}'],
      ['--metrics-port=9090', '--metrics-path=/m', `--metrics-requests=${'a'.repeat(129)}`],
      ['--metrics-more=1'],
    ]) {
      const init = start(options);
      assert.equal(await init.ended, 70, options.join(' '));
    }
  });
});
