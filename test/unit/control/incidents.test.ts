import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { FAILURE_CLASSES } from '../../../src/base/failure-class.ts';
import type { PluginState } from '../../../src/control/api.ts';
import type { IncidentReport, WhyReport } from '../../../src/control/incident-api.ts';
import { exportIncident } from '../../../src/control/incident-export.ts';
import { renderEvent } from '../../../src/control/render/event-line.ts';
import { renderWhy } from '../../../src/control/render/why-view.ts';
import { runCommandLine } from '../../../src/control/run.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { IncidentBundle } from '../../../src/record/incident-bundle.ts';
import { type StoredIncident, summaryOf } from '../../../src/record/stored-incident.ts';
import { exampleIncident, INCIDENT_AT } from '../../support/incidents.ts';
import { event, FakeManager, status } from './support/fake-manager.ts';
import { FakeWorld } from './support/fake-world.ts';

const INCIDENT = exampleIncident(7);
const STORED: StoredIncident = {
  format: 1,
  incident: INCIDENT,
  steps: [{ at: INCIDENT_AT + 40, text: 'g8 is ready' }],
  over: { at: INCIDENT_AT + 42, text: 'recovered after 42 ms' },
  evidence: 'whole',
  missing: ['core dump: systemd-coredump has none'],
  core: null,
};
const REPORT: IncidentReport = {
  ...STORED,
  summary: FAILURE_CLASSES.hang.summary,
  advice: FAILURE_CLASSES.hang.advice,
  directory: `/var/lib/bulkhead/incidents/${INCIDENT.id}`,
  files: [{ name: 'incident.json', bytes: 1024 }],
  tasks: {
    tasks: [
      {
        pid: 42,
        tid: 43,
        comm: 'main\u001b[2J',
        state: 'S',
        syscall: '0 0x7 0x1',
        wchan: 'anon_pipe_read',
        stack: [],
        schedstat: '1 2 3',
      },
    ],
    more: false,
  },
  descriptors: ['7 -> pipe:[4711]'],
  cgroup: {},
  flight: {
    inFlight: [
      {
        index: 0,
        sequence: 2,
        inFlight: 1,
        startedAt: 1,
        deadline: undefined,
        traceId: 'abcd',
        tid: 2,
        done: 0,
        failed: 0,
        method: 'embed',
      },
    ],
    records: [
      {
        number: 0,
        kind: 'ended-well',
        startedAt: 1,
        durationMs: 20,
        traceId: 'ef01',
        tid: 2,
        text: 'search',
      },
    ],
  },
  journal: ['2026-11-25T21:33:59 main[2]: the last words'],
};
const WHY: WhyReport = {
  name: 'hello',
  state: 'running',
  line: '2/2 ready, slot a, v1',
  reason: null,
  wellForMs: 185_000,
  quarantined: false,
  last: REPORT,
  lately: [{ class: 'crash', count: 3 }],
  upgrade: null,
  lastUpgrade: null,
};

async function ask(line: string, state: PluginState = 'running') {
  const manager = new FakeManager();
  manager.statuses = [status('hello', { state })];
  manager.explained = WHY;
  manager.failed = [summaryOf(STORED, 2048)];
  manager.bundle = REPORT;
  const world = new FakeWorld(manager);
  const exit = await runCommandLine(line.split(' '), VERBS, world);
  return { exit, out: world.out.text, err: world.err.text, asked: manager.controlled };
}

describe('bulkheadctl why', () => {
  it('says how it is, what failed, why that is believed, what was done, and what to do', async () => {
    const { exit, out } = await ask('why hello');
    assert.equal(exit, 0);
    assert.match(out, /^● hello: running, 2\/2 ready, slot a, v1\n {2}It is well, for 3min 5s now\.$/m);
    assert.match(out, /^Last failure: hang \(blocked\) of a-g7, v1, 2026-11-25 \d\d:\d\d:\d\d$/m);
    assert.match(out, /^ {2}request 'embed' has been in read\(2\) of a pipe for 12 s, its deadline was 5 s$/m);
    assert.match(out, /^ {2}It means: a request is overdue, and the task that has it waits\.$/m);
    assert.match(out, /^Evidence:\n {2}system call {2}read\n {2}not because of: frozen$/m);
    assert.match(out, /^ {2}requests in its hands: 0123456789abcdef0123456789abcdef$/m);
    assert.match(out, /^Done:\n {2}\S+ {2}start g8 \(step 1 of 2: replace\)\n.*g8 is ready\n.*recovered after 42 ms$/m);
    assert.match(out, /^What to do:\n {2}the evidence names what it waits for; /m);
    assert.match(out, new RegExp(`^ {2}bulkheadctl incidents show ${INCIDENT.id}$`, 'm'));
    assert.match(out, /^Before it, within a day: 3 crash$/m);
  });

  it('fits one screen, however much there is to tell', () => {
    const { verdict } = INCIDENT;
    const incident = {
      ...INCIDENT,
      action: 'a'.repeat(300),
      verdict: {
        ...verdict,
        confidence: 0.5,
        text: 'long words '.repeat(20),
        evidence: Array.from({ length: 32 }, (_, n) => ({ what: `fact ${n}`, value: 'v'.repeat(200) })),
        excuses: [...verdict.excuses, { excuse: 'throttled' as const, applies: true, detail: 'd'.repeat(200) }],
        traceIds: Array.from({ length: 32 }, () => 't'.repeat(32)),
      },
    };
    const steps = Array.from({ length: 64 }, (_, n) => ({ at: INCIDENT_AT + n, text: `step ${n}` }));
    const report: WhyReport = {
      ...WHY,
      state: 'failed',
      quarantined: true,
      wellForMs: null,
      reason: {
        code: 'BH304',
        text: 'x'.repeat(300),
        advice: 'correct the cause, then "systemctl restart plugin@hello"',
      },
      last: { ...REPORT, incident, steps },
    };
    const lines = renderWhy(report, { columns: 80, colour: false }).trimEnd().split('\n');
    assert.ok(lines.length < 25, `${lines.length} lines\n${lines.join('\n')}`);
    assert.deepEqual(
      lines.filter((line) => line.length > 80),
      [],
    );
    assert.match(lines.join('\n'), /bulkheadctl release hello/);
    assert.match(lines.join('\n'), /and \d+ more/);
  });

  it('of what was always well says so', () => {
    const text = renderWhy({ ...WHY, last: null, lately: [] }, { columns: 80, colour: false });
    assert.match(text, /It is well, for 3min 5s now\.\nNothing has failed, as far as is remembered\.$/m);
  });

  it('lets nothing that a plugin said move the cursor', () => {
    const verdict = { ...INCIDENT.verdict, text: 'a\u001b[2Jb\nc', evidence: [{ what: 'x\r', value: '\u202ey' }] };
    const text = renderWhy(
      { ...WHY, last: { ...REPORT, incident: { ...INCIDENT, verdict } } },
      { columns: 80, colour: false },
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    assert.doesNotMatch(text, /[\u001b\r\u202e]/);
  });

  it('is JSON for scripts', async () => {
    assert.equal(JSON.parse((await ask('why hello --json')).out).last.incident.id, INCIDENT.id);
    assert.equal((await ask('why nobody')).exit, 4);
  });
});

describe('bulkheadctl incidents', () => {
  it('lists them, all or those of a plugin', async () => {
    for (const line of ['incidents', 'incidents list', 'incidents list hello', 'incidents list hello -n 1']) {
      const { exit, out } = await ask(line);
      assert.equal(exit, 0, line);
      assert.match(out, new RegExp(`^${INCIDENT.id} +hang \\(blocked\\) +42ms +request .*; start g8$`, 'm'));
    }
    assert.equal((await ask('incidents list --lines=0')).out, 'No incident is kept.\n');
    assert.equal((await ask('incidents list nobody')).exit, 4);
    assert.equal(JSON.parse((await ask('incidents --json')).out)[0].bytes, 2048);
  });

  it('shows one with its evidence', async () => {
    const { exit, out } = await ask(`incidents show ${INCIDENT.id}`);
    assert.equal(exit, 0);
    assert.match(out, /^ {2}in its hands: embed abcd$/m);
    assert.match(out, /^ {2}ended-well after 20ms: search ef01$/m);
    assert.match(out, /^ +43 {2}main\\x1b\[2J {2}S +anon_pipe_read +0 0x7 0x1$/m);
    assert.match(out, /^ {2}7 -> pipe:\[4711\]$/m);
    assert.match(out, /the last words$/m);
    assert.match(out, /^Not to be had\n {2}core dump: systemd-coredump has none$/m);
  });

  it('does not take paths and typing errors for incidents', async () => {
    for (const id of ['../../etc', 'hello', `${INCIDENT.id}/..`]) {
      const { exit, err } = await ask(`incidents show ${id}`);
      assert.equal(exit, 1);
      assert.match(err, /BH408 no such incident/);
    }
    assert.equal((await ask('incidents show')).exit, 2);
    assert.equal((await ask('incidents remove x')).exit, 2);
  });

  describe('export', () => {
    let root = '';
    beforeEach(() => {
      root = mkdtempSync(`${tmpdir()}/bulkhead-export-`);
    });
    afterEach(() => rmSync(root, { recursive: true }));

    it('writes the whole bundle into a new archive', async () => {
      const bundle = new IncidentBundle(root, INCIDENT.id);
      bundle.write(STORED);
      const core = `core.hello.v1.${'0'.repeat(32)}.42.zst`;
      writeFileSync(bundle.path(core), Buffer.alloc(1_000_000, 7));
      writeFileSync(bundle.path('journal.txt'), '');
      const file = `${root}/out.tar.gz`;
      assert.equal(await exportIncident(INCIDENT.id, file, root), file);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      execFileSync('tar', ['--extract', '--gzip', '--file', file, '--directory', root, '--transform', 's,^,taken/,']);
      for (const name of [core, 'journal.txt', 'incident.json'])
        assert.deepEqual(readFileSync(`${root}/taken/${INCIDENT.id}/${name}`), readFileSync(bundle.path(name)), name);
      await assert.rejects(exportIncident(INCIDENT.id, file, root), { code: 'BH601' });
    });

    it('says when there is no such incident', async () => {
      await assert.rejects(exportIncident(INCIDENT.id, `${root}/x`, root), { code: 'BH408' });
    });
  });
});

describe('bulkheadctl events', () => {
  it('names the class of what failed', () => {
    const text = renderEvent(event(1, { kind: 'incident', class: 'hang', text: 'x' }), false);
    assert.match(text, / hello incident \(hang\): x$/m);
  });
});

describe('bulkheadctl recycle and release', () => {
  it('ask the supervisor, and say what was begun', async () => {
    const recycled = await ask('recycle hello');
    assert.deepEqual(recycled.asked, ['recycle hello']);
    assert.equal(recycled.out, 'hello: its sandboxes are being replaced\n');
    assert.deepEqual((await ask('release hello')).asked, ['release hello']);
    assert.deepEqual((await ask('release hello', 'stopped')).asked, ['release hello', 'start hello']);
    assert.equal(JSON.parse((await ask('release hello --json')).out).name, 'hello');
    assert.equal((await ask('release nobody')).exit, 4);
  });
});
