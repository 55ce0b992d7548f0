import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { ProbeStatus, SandboxStatus } from '../../../src/control/api.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  readySandboxes,
  run,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { auditOf, KINDS } from './view-lab.ts';

/** Does at its probe socket what it was told over its listener; `exit` leaves a child behind. */
const PROGRAM = `
import json, os, socket, threading, time
names = os.environ.get("LISTEN_FDNAMES", "").split(":")
sockets = {name: socket.socket(fileno=3 + at) for at, name in enumerate(names) if name}
how = "status 200"
def probed(client):
    asked = client.recv(4096)
    if how == "silent": time.sleep(600)
    if how == "flood":
        while True: client.sendall(b"x" * 65536)
    if asked and how.startswith("status"): client.sendall(b"HTTP/1.1 " + how.split()[1].encode() + b" X\\r\\n\\r\\n")
    client.close()
def serve_probes():
    while True:
        if how == "hang": time.sleep(0.05); continue
        client, _ = sockets["probe"].accept()
        threading.Thread(target=probed, args=(client,), daemon=True).start()
if "probe" in sockets: threading.Thread(target=serve_probes, daemon=True).start()
while True:
    client, _ = sockets["talk"].accept()
    with client:
        said = client.recv(4096).decode()
        if said == "exit":
            if os.fork() == 0: time.sleep(600)
            os._exit(3)
        if said != "": how = said
        client.sendall(json.dumps({"pid": os.getpid(), "names": names}).encode())
`;

interface Told {
  readonly names: readonly string[];
}

for (const kind of KINDS) {
  const name = `probed-${kind}`;

  describe(`probes of a ${kind}`, function () {
    this.timeout(180_000);
    afterEach(() => uninstall(name));

    function install(health: readonly string[], more: readonly string[] = []): void {
      const directory = `/opt/plugin/${name}/v1`;
      mkdirSync(directory, { recursive: true, mode: 0o755 });
      writeFileSync(`${directory}/main.py`, PROGRAM);
      writeFileSync(`${directory}/check`, '#!/bin/sh\ntest ! -e /tmp/ill\n', { mode: 0o755 });
      declare(name, [
        'template: python',
        'version: v1',
        `isolation: ${kind}`,
        `listen: [{ unix: /run/plugin/${name}.sock, name: talk }]`,
        'health:',
        ...health.map((line) => `  ${line}`),
        ...more,
      ]);
    }

    function tell(how: string): Promise<Told> {
      return new Promise((resolve, reject) => {
        const client = connect(`/run/plugin/${name}.sock`);
        let text = '';
        client.setTimeout(20_000, () => client.destroy(new Error(`no answer to '${how}'`)));
        client.on('data', (chunk) => {
          text += chunk;
        });
        client.on('error', reject);
        client.on('close', () => resolve((text === '' ? { names: [] } : JSON.parse(text)) as Told));
        client.end(how);
      });
    }

    async function untilProbe(probe: string, holds: (probe: ProbeStatus) => boolean): Promise<SandboxStatus> {
      let found: SandboxStatus | undefined;
      await until(`the ${probe} probe is as it should be`, async () => {
        found = (await readySandboxes(name)).find(({ probes }) =>
          probes.some((each) => each.name === probe && holds(each)),
        );
        return found !== undefined;
      });
      assert.ok(found !== undefined);
      return found;
    }

    it('pass at a socket of its own, are told to the operator, and take nothing from the walls', async () => {
      install(['readiness: { http: /ready, every: 200ms }', 'liveness: { tcp: true, every: 200ms }']);
      await systemctl('start', `plugin@${name}`);
      await untilProbe('readiness', ({ passes }) => passes);
      const sandbox = await untilProbe('liveness', ({ passes, asked }) => passes && asked);
      await until('the gate is open', async () => (await tell('')).names.length > 0);
      assert.deepEqual((await tell('')).names, ['talk', 'probe']);
      assert.match(
        await must('bulkheadctl', 'status', name),
        /Probes: .*: (readiness, liveness|liveness, readiness) pass\n/,
      );
      assert.deepEqual(await auditOf(name), []);
      assert.equal(uidOfProber(sandbox), sandbox.uidBase + 1003);
    });

    it('take a sandbox out of traffic, and let it back in', async () => {
      install(['readiness: { http: /ready, every: 100ms, misses: 2 }'], ['pool: { size: 2 }']);
      await systemctl('start', `plugin@${name}`);
      await untilWhole(name, 2);
      await until('traffic', async () => (await tell('')).names.length > 0);
      await tell('status 503');
      const ill = await untilProbe('readiness', ({ passes, text }) => !passes && text === 'HTTP status 503');
      assert.match(await must('bulkheadctl', 'status', name), /readiness FAILS, HTTP status 503, for /);
      await until('the gate is shut', async () => {
        const now = (await readySandboxes(name)).find(({ unit }) => unit === ill.unit);
        return now?.gate !== 'open';
      });
      const [other] = (await readySandboxes(name)).filter(({ unit }) => unit !== ill.unit);
      assert.equal(other?.gate, 'open');
    });

    for (const how of ['hang', 'silent'])
      it(`replace a sandbox whose program is "${how}" at its probe socket, and leave its neighbour alone`, async () => {
        install(['liveness: { http: /, every: 200ms, timeout: 300ms, misses: 3 }'], ['pool: { size: 2 }']);
        await systemctl('start', `plugin@${name}`);
        const before = await untilWhole(name, 2);
        await untilProbe('liveness', ({ passes }) => passes);
        await tell(how);
        await until('one is gone', async () => {
          const now = await readySandboxes(name);
          return before.some(({ unit }) => !now.some((each) => each.unit === unit));
        });
        await untilWhole(name, 2);
        const after = await readySandboxes(name);
        assert.equal(after.filter(({ unit }) => before.some((each) => each.unit === unit)).length, 1);
        const why = await must('bulkheadctl', 'why', name);
        assert.match(why, /probe-failed/);
        assert.match(why, /no answer within 300 ms/);
      });

    for (const language of ['python', 'node', 'c'] as const)
      it(`are answered by the example in ${language}, which serves the socket like the others`, async () => {
        installExample(name, language, [
          `template: ${language === 'c' ? 'native' : language}`,
          'version: v1',
          `isolation: ${kind}`,
          `listen: [{ unix: /run/plugin/${name}.sock }]`,
          'health: { readiness: { http: /, every: 200ms }, liveness: { tcp: true, every: 200ms } }',
        ]);
        await systemctl('start', `plugin@${name}`);
        await untilProbe('readiness', ({ passes }) => passes);
        await untilProbe('liveness', ({ passes }) => passes);
      });

    it('are not harmed by an answer without end', async () => {
      install(['liveness: { tcp: true, every: 100ms }']);
      await systemctl('start', `plugin@${name}`);
      const [before] = await untilWhole(name, 1);
      await untilProbe('liveness', ({ passes }) => passes);
      await tell('flood');
      await new Promise((resolve) => setTimeout(resolve, 2000));
      assert.equal((await readySandboxes(name))[0]?.unit, before?.unit);
    });

    it('by a command have all walls of the payload, and what asks has no more than it needs', async () => {
      install(['liveness: { command: [./check], every: 200ms, timeout: 5s }']);
      await systemctl('start', `plugin@${name}`);
      const sandbox = await untilProbe('liveness', ({ passes, asked }) => passes && asked);
      for (let looks = 0; looks < 5; looks++) assert.deepEqual(await auditOf(name), []);
      assert.equal(uidOfProber(sandbox), sandbox.uidBase);
    });

    it('hold back a start until the program answers, and end it when it does not', async () => {
      install(['startup: { http: /, every: 100ms, misses: 3 }', 'start-timeout: 20s']);
      await systemctl('start', `plugin@${name}`);
      await untilWhole(name, 1);
      await uninstall(name);
      install(['startup: { http: /, port: 7000, every: 100ms, misses: 3 }'], ['recovery: { budget: { restarts: 1 } }']);
      const { status: code } = await run('systemctl', 'start', `plugin@${name}`);
      assert.notEqual(code, 0);
      const why = await must('bulkheadctl', 'why', name);
      assert.match(why, /not-ready/);
      assert.match(why, /no connection: Connection refused/);
    });

    it('are known to a supervisor that comes later', async () => {
      install(['liveness: { http: /, every: 200ms, misses: 1000 }', 'readiness: { tcp: true, every: 200ms }']);
      await systemctl('start', `plugin@${name}`);
      const [before] = await untilWhole(name, 1);
      await untilProbe('liveness', ({ passes }) => passes);
      await untilProbe('readiness', ({ passes }) => passes);
      await killSupervisor();
      assert.equal((await untilProbe('liveness', ({ passes }) => passes)).unit, before?.unit);
      await untilProbe('readiness', ({ passes }) => passes);
    });

    it('end the sandbox with the prober, and say so', async () => {
      install(['liveness: { tcp: true, every: 200ms }']);
      await systemctl('start', `plugin@${name}`);
      const sandbox = await untilProbe('liveness', ({ passes }) => passes);
      process.kill(proberOf(sandbox), 'SIGKILL');
      await untilReplaced(name, 1, sandbox.unit);
      const why = await must('bulkheadctl', 'why', name);
      assert.match(why, /dependency/);
      assert.match(why, /the prober of its health ended/);
    });

    it('are beside the report of what a payload left behind', async () => {
      install(['liveness: { tcp: true, every: 200ms }']);
      await systemctl('start', `plugin@${name}`);
      const [sandbox] = await untilWhole(name, 1);
      await untilProbe('liveness', ({ passes }) => passes);
      await tell('exit');
      await untilReplaced(name, 1, sandbox?.unit ?? '');
      assert.match(await must('bulkheadctl', 'why', name), /left behind/);
    });
  });
}

/** Pid of the prober on the host. */
function proberOf({ initPid }: SandboxStatus): number {
  const init = initPid ?? 0;
  const children = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').trim().split(' ').map(Number);
  const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'plugin-prober');
  assert.ok(found !== undefined, readdirSync('/proc').join(' '));
  return found;
}

function uidOfProber(sandbox: SandboxStatus): number {
  const [, uid] = /^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${proberOf(sandbox)}/status`, 'utf8')) ?? [];
  return Number(uid);
}
