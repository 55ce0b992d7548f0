import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { IncidentReport, IncidentSummary, WhyReport } from '../../../src/control/incident-api.ts';
import { INCIDENT_DIRECTORY } from '../../../src/record/incidents.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  readySandboxes,
  run,
  supervisorBack,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'incident';
const DECLARATION = ['template: python', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9170 }]'];

async function incidents(): Promise<IncidentSummary[]> {
  return JSON.parse(await must('bulkheadctl', 'incidents', 'list', NAME, '--json')) as IncidentSummary[];
}

async function show(id: string): Promise<IncidentReport> {
  return JSON.parse(await must('bulkheadctl', 'incidents', 'show', id, '--json')) as IncidentReport;
}

/** The entries of the supervisor about an incident. */
async function entriesOf(id: string): Promise<Record<string, string>[]> {
  const text = await must('journalctl', `BULKHEAD_INCIDENT=${id}`, '_UID=0', '--output=json', '--no-pager');
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as Record<string, string>);
}

forEachIsolation('incidents', function () {
  this.timeout(180_000);

  beforeEach(async () => {
    installExample(NAME, 'python', DECLARATION);
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
  });
  afterEach(() => uninstall(NAME));

  /** Kills the only payload; the incident that comes of it, when it is over and its bundle is whole. */
  async function fail(signal: NodeJS.Signals = 'SIGKILL'): Promise<IncidentReport> {
    const before = new Set((await incidents()).map(({ id }) => id));
    const [sandbox] = await readySandboxes(NAME);
    assert.ok(sandbox?.payloadPid);
    process.kill(sandbox.payloadPid, signal);
    await untilReplaced(NAME, 1, sandbox.unit);
    let id = '';
    await until('the incident is over and whole', async () => {
      const found = (await incidents()).find((each) => !before.has(each.id));
      id = found?.id ?? '';
      return found !== undefined && found.over !== null && found.evidence === 'whole';
    });
    return show(id);
  }

  it('have class, evidence, what was done and what to do, for a tired operator on one screen', async () => {
    const { incident, over, journal } = await fail();
    assert.deepEqual([incident.verdict.class, incident.verdict.kind, incident.version], ['crash', 'SIGKILL', 'v1']);
    assert.match(over?.text ?? '', /^recovered after \S+/);
    assert.ok(journal !== null && journal.length > 0, 'no lines of the journal');
    const text = await must('bulkheadctl', 'why', NAME);
    assert.ok(text.trimEnd().split('\n').length < 25, text);
    assert.match(text, /^● incident: running, /);
    assert.match(text, /^Last failure: crash \(SIGKILL\) of a-g\d+, v1, /m);
    assert.match(text, /^What to do:$/m);
    const report = JSON.parse(await must('bulkheadctl', 'why', NAME, '--json')) as WhyReport;
    assert.equal(report.last?.incident.id, incident.id);
    assert.ok(report.wellForMs !== null);
  });

  it('have the last requests of a program that was killed', async () => {
    for (const path of ['/one', '/two']) await must('curl', '--fail', '--silent', `http://127.0.0.1:9170${path}`);
    const { flight } = await fail();
    const ended = flight?.records.filter(({ kind }) => kind === 'ended-well').map(({ text }) => text);
    assert.deepEqual(ended, ['/one', '/two']);
    assert.deepEqual(flight?.inFlight, []);
  });

  it('are kept for root alone', async () => {
    const { incident } = await fail();
    assert.equal(statSync(INCIDENT_DIRECTORY).mode & 0o777, 0o700);
    assert.equal(statSync(`${INCIDENT_DIRECTORY}/${incident.id}`).mode & 0o777, 0o700);
    const nobody = ['--reuid=nobody', '--regid=nogroup', '--clear-groups', 'bulkheadctl'];
    const refused = await run('setpriv', ...nobody, 'incidents', 'show', incident.id);
    assert.deepEqual([refused.status, refused.stdout], [5, '']);
    assert.equal((await run('setpriv', ...nobody, 'incidents', 'export', incident.id, '-o', '/dev/null')).status, 5);
    assert.equal((await run('setpriv', ...nobody, 'why', NAME)).status, 0);
  });

  it('are in the journal with class and incident, and explained by its catalog', async () => {
    const { incident } = await fail('SIGSEGV');
    const entry = (await entriesOf(incident.id)).find(({ BULKHEAD_EVENT }) => BULKHEAD_EVENT === 'incident');
    assert.equal(entry?.BULKHEAD_CLASS, 'crash');
    assert.equal(entry?.BULKHEAD_KIND, 'SIGSEGV');
    assert.equal(entry?.BULKHEAD_VERSION, 'v1');
    assert.equal(entry?.BULKHEAD_PLUGIN, NAME);
    const explained = await must('journalctl', '--catalog', '--no-pager', `MESSAGE_ID=${entry?.MESSAGE_ID}`);
    assert.match(explained, new RegExp(`Subject: Plugin ${NAME}: a signal ended the program`));
    assert.match(explained, new RegExp(`bulkheadctl incidents show ${incident.id}`));
  });

  it('can be taken away as one archive', async () => {
    const { incident, files } = await fail();
    const directory = mkdtempSync(`${tmpdir()}/bulkhead-export-`);
    try {
      const file = `${directory}/incident.tar.gz`;
      await must('bulkheadctl', 'incidents', 'export', incident.id, '-o', file);
      const listed = (await must('tar', '--list', '--gzip', '--file', file)).trim().split('\n');
      assert.deepEqual(
        listed,
        files.map(({ name }) => `${incident.id}/${name}`),
      );
      assert.ok(listed.includes(`${incident.id}/journal.txt`));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('have the states of the threads of what still lives', async () => {
    const probe = 'health: { liveness: { command: [/bin/false], every: 1s, misses: 1 } }';
    declare(NAME, [...DECLARATION, probe, 'recovery: { probe-failed: [{ notify: {} }] }']);
    const before = new Set((await incidents()).map(({ id }) => id));
    await systemctl('restart', `plugin@${NAME}`);
    let id = '';
    await until('an incident of a probe that fails', async () => {
      const found = (await incidents()).find((each) => !before.has(each.id) && each.class === 'probe-failed');
      id = found?.evidence === 'whole' ? found.id : '';
      return id !== '';
    });
    const { tasks, descriptors, cgroup } = await show(id);
    const main = tasks?.tasks.find(({ comm }) => comm.startsWith('python'));
    assert.match(main?.syscall ?? '', /^(running|\d+ 0x)/, JSON.stringify(tasks));
    assert.ok(
      descriptors?.some((line) => line.includes('socket:')),
      String(descriptors),
    );
    assert.match(cgroup?.['cpu.stat'] ?? '', /^usage_usec \d+/);
  });

  it('outlive the supervisor, and one that it left half written is finished', async () => {
    const [sandbox] = await readySandboxes(NAME);
    assert.ok(sandbox?.payloadPid);
    const before = new Set(readdirSync(INCIDENT_DIRECTORY));
    const supervisor = await supervisorPid();
    let id = '';
    process.kill(sandbox.payloadPid, 'SIGKILL');
    await until('a bundle', () => {
      id = readdirSync(INCIDENT_DIRECTORY).find((name) => !before.has(name)) ?? '';
      return id !== '';
    });
    process.kill(supervisor, 'SIGKILL');
    await supervisorBack(supervisor);
    await until('it is whole and over', async () => {
      const { evidence, over } = await show(id);
      return evidence === 'whole' && over !== null;
    });
    const { over, journal, missing } = await show(id);
    assert.match(over?.text ?? '', /^recovered after \S+/);
    assert.ok(journal !== null && journal.length > 0, 'no lines of the journal');
    assert.ok(
      missing.some((text) => text.startsWith('tasks, descriptors and counters')),
      missing.join('; '),
    );
  });

  it('run the declared command once, with what is known, and say how it ended', async () => {
    const told = `/run/${NAME}-told`;
    rmSync(told, { force: true });
    writeFileSync(
      '/usr/local/bin/bulkhead-test-page',
      `#!/bin/sh\nsleep 1\necho "$BULKHEAD_PLUGIN $BULKHEAD_CLASS $BULKHEAD_INCIDENT" >>${told}\nexit 3\n`,
      { mode: 0o755 },
    );
    declare(NAME, [...DECLARATION, 'recovery: { crash: [{ run: [/usr/local/bin/bulkhead-test-page] }, replace] }']);
    await systemctl('restart', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
    const [sandbox] = await readySandboxes(NAME);
    assert.ok(sandbox?.payloadPid);
    process.kill(sandbox.payloadPid, 'SIGKILL');
    await until('the command runs', async () => {
      const units = await must('systemctl', 'list-units', '--plain', '--no-legend', 'bulkhead-run-*');
      return units !== '';
    });
    await killSupervisor();
    await until('it has told', () => existsSync(told));
    let last: IncidentReport | undefined;
    await until('its end is in the incident', async () => {
      const [newest] = await incidents();
      last = newest === undefined ? undefined : await show(newest.id);
      return last?.steps.some(({ text }) => text.includes('exit status 3')) === true;
    });
    assert.equal(readFileSync(told, 'utf8'), `${NAME} crash ${last?.incident.id}\n`);
    await until('its unit is gone', async () => {
      const units = await must('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'bulkhead-run-*');
      return units === '';
    });
    rmSync('/usr/local/bin/bulkhead-test-page');
  });
});
