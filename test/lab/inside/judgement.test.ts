import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import type { UpgradeOutcomeStatus } from '../../../src/control/upgrade-api.ts';
import type { Incident } from '../../../src/diagnose/incident.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import { HttpLoad } from '../../support/load.ts';
import {
  declare,
  installExample,
  installHostile,
  must,
  run,
  systemctl,
  uninstall,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'judged';
const PORT = 9171;

/** Answers badly as often as it is told to, has no activity page, and tells its figures on a port of its own. */
const TELLS = `
import http.server, socket, sys, threading
bad, counts, lock = int(sys.argv[1]), [0, 0], threading.Lock()
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with lock:
            counts[0] += 1
            failed = counts[0] * 37 % 100 < bad
            counts[1] += failed
        self.send_response(500 if failed else 200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\\n")
    def log_message(self, *_): pass
class Tells(Answers):
    def do_GET(self):
        text = "# TYPE asked_total counter\\nasked_total %d\\nfailed_total{code=\\"500\\"} %d\\n" % tuple(counts)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
figures = http.server.ThreadingHTTPServer(("127.0.0.1", 9090), Tells)
threading.Thread(target=figures.serve_forever, daemon=True).start()
server.serve_forever()
`;

/** What is bad is undone as soon as it shows, for which the machine may be slow: a step ends late enough. */
const UNTIL_SEEN = ['--bake', '90s'] as const;
/** What is good needs requests enough, however long they take. */
const ENOUGH = 'samples: 20, few: wait, wait-most: 90s';

/** Half of the connections for so long (s), then all of them. */
function declaration(bakeS: number, judge = 'samples: 20'): string[] {
  return [
    'template: native',
    'version: v1',
    `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
    'health: { ready: notify }',
    'limits: { memory: 128M }',
    `upgrade: { canary: [50%], bake: ${bakeS}s, drain: 1s, judge: { ${judge} } }`,
  ];
}

/** Installs a version of the same program that does wrong from its start what is named. */
function install(version: string, ...words: readonly string[]): void {
  const directory = `/opt/plugin/${NAME}/${version}`;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  copyFileSync(`/opt/plugin/${NAME}/v1/main`, `${directory}/main`);
  const exec = ['./main', ...words].map((word) => `'${word}'`).join(', ');
  writeFileSync(`${directory}/plugin.yaml`, `exec: [${exec}]\n`);
}

async function upgrade(
  version: string,
  ...options: readonly string[]
): Promise<{ status: number; outcome: UpgradeOutcomeStatus }> {
  const { status, stdout, stderr } = await run(
    'bulkheadctl',
    'upgrade',
    NAME,
    version,
    '--force',
    '--json',
    ...options,
  );
  assert.notEqual(stdout, '', stderr);
  return { status: status ?? -1, outcome: JSON.parse(stdout) as UpgradeOutcomeStatus };
}

/** What became of it, with the signal that was bad. */
function summaryOf({ status, outcome }: Awaited<ReturnType<typeof upgrade>>): string {
  const bad = outcome.rows.filter((row) => row.bad).map(({ signal }) => signal);
  return `${status} ${outcome.outcome} ${outcome.reason?.code ?? '-'} ${bad.join(',') || '-'}`;
}

forEachIsolation('the judgement of an upgrade', function () {
  this.timeout(300_000);
  let load: HttpLoad | undefined;

  async function begin(lines: readonly string[], connections: number, thinkMs = 40): Promise<void> {
    installHostile(NAME, 'misbehave', lines);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
    const target = { host: '127.0.0.1', port: PORT };
    if (connections > 0) load = new HttpLoad({ target, connections, keepAlive: false, thinkMs });
  }

  afterEach(async () => {
    await load?.stop();
    load = undefined;
    await uninstall(NAME);
  });

  it('finds an equal version good, with as many requests of both as there were', async () => {
    await begin(declaration(4, ENOUGH), 4);
    install('v2');
    const made = await upgrade('v2');
    assert.equal(summaryOf(made), '0 promoted - -', JSON.stringify(made.outcome));
  });

  it('undoes a version whose answers are bad, and one that is ten times slower, and says which', async () => {
    await begin(declaration(6), 4);
    install('v2', '--at-start=answer-badly:30');
    const bad = await upgrade('v2', ...UNTIL_SEEN);
    assert.equal(summaryOf(bad), '6 rolled-back BH322 errors', JSON.stringify(bad.outcome));
    const said = await run('bulkheadctl', 'incidents', 'show', bad.outcome.incident ?? '', '--json');
    const { incident } = JSON.parse(said.stdout || '{}') as { incident?: Incident };
    assert.deepEqual(
      [incident?.verdict.class, incident?.verdict.kind, incident?.version],
      ['probe-failed', 'judged', 'v2'],
    );
    assert.ok(incident?.verdict.evidence.some(({ what, value }) => what === 'errors' && value.startsWith('bad: ')));
    assert.match(await must('bulkheadctl', 'why', NAME), /v1 -> v2 was rolled back/);
    assert.match(
      bad.outcome.reason?.text ?? '',
      /^errors: \d+\.\d % of \d+; the old side: 0\.0 % of \d+( before)?; borne: 1 points more/,
    );
    install('v3', '--at-start=answer-slowly:60');
    const slow = await upgrade('v3', ...UNTIL_SEEN);
    assert.match(summaryOf(slow), /^6 rolled-back BH322 (latency|latency,tail|tail)$/, JSON.stringify(slow.outcome));
  });

  it('undoes a version that leaks, long before it is at its limit', async () => {
    await begin(declaration(18), 2);
    install('v2', '--at-start=leak-memory:2');
    const made = await upgrade('v2', ...UNTIL_SEEN);
    assert.equal(summaryOf(made), '6 rolled-back BH322 memory', JSON.stringify(made.outcome));
  });

  // Whoever came to it waits: of many clients that come seldom some are left for the old side to answer, of few none.
  for (const [clients, thinkMs] of [
    [80, 800],
    [4, 40],
  ] as const)
    it(`undoes a version that takes requests and answers none, with ${clients} clients`, async () => {
      await begin(declaration(6), clients, thinkMs);
      await load?.more(60);
      install('v2', '--at-start=answer-slowly:600000');
      const stuck = await upgrade('v2', ...UNTIL_SEEN);
      assert.match(summaryOf(stuck), /^6 rolled-back BH322 stalled(,queue)?$/, JSON.stringify(stuck.outcome));
    });

  it('believes the metrics of a program that has no activity page', async () => {
    const metrics = 'metrics: { port: 9090, path: /metrics, requests: asked_total, errors: failed_total }';
    installExample(NAME, 'python', [
      'template: python',
      'version: v1',
      `listen: [{ tcp: 127.0.0.1:${PORT} }]`,
      `upgrade: { canary: [50%], bake: 6s, drain: 1s, judge: { ${ENOUGH}, ${metrics} } }`,
    ]);
    for (const [version, bad] of [
      ['v1', 0],
      ['v2', 30],
      ['v3', 0],
    ] as const) {
      mkdirSync(`/opt/plugin/${NAME}/${version}`, { recursive: true, mode: 0o755 });
      writeFileSync(`/opt/plugin/${NAME}/${version}/tells.py`, TELLS);
      writeFileSync(`/opt/plugin/${NAME}/${version}/plugin.yaml`, `exec: [/usr/bin/python3, tells.py, '${bad}']\n`);
    }
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
    load = new HttpLoad({ target: { host: '127.0.0.1', port: PORT }, connections: 4, keepAlive: false, thinkMs: 40 });
    // Whoever asks for metrics is there, and confined.
    await must('bulkheadctl', 'audit', NAME);
    const made = await upgrade('v2', ...UNTIL_SEEN);
    assert.equal(summaryOf(made), '6 rolled-back BH322 errors', JSON.stringify(made.outcome));
    const equal = await upgrade('v3');
    assert.equal(summaryOf(equal), '0 promoted - -', JSON.stringify(equal.outcome));
  });

  it('does what is declared when there was too little to judge by', async () => {
    await begin(declaration(2), 0);
    install('v2');
    assert.equal(summaryOf(await upgrade('v2')), '0 promoted - -');
    declare(NAME, [
      ...declaration(2, 'samples: 20, few: rollback').filter((line) => line !== 'version: v1'),
      'version: v2',
    ]);
    install('v3');
    const undone = await upgrade('v3');
    assert.match(summaryOf(undone), /^6 rolled-back BH323 -$/, JSON.stringify(undone.outcome));
    assert.match(undone.outcome.reason?.text ?? '', /requests: 0 of 20/);
    const waits = 'samples: 20, few: wait, wait-most: 4s';
    declare(NAME, [...declaration(2, waits).filter((line) => line !== 'version: v1'), 'version: v2']);
    install('v4');
    const began = Date.now();
    const waited = await upgrade('v4');
    assert.match(summaryOf(waited), /^6 rolled-back BH323 -$/, JSON.stringify(waited.outcome));
    assert.ok(Date.now() - began >= 6000, 'it waited');
  });
});
