import assert from 'node:assert/strict';
import type { IncidentReport, IncidentSummary } from '../../../src/control/incident-api.ts';
import { declare, must, readySandboxes, systemctl, uninstall, until, untilReplaced } from '../../support/system.ts';

/** What a lab may lack: a kernel whose core_pattern is its own. */
describe('core dumps', function () {
  this.timeout(300_000);

  const NAME = 'crasher';

  before(async () => {
    // The test machine does without this at its boot.
    await must('/usr/lib/systemd/systemd-sysctl');
    await systemctl('start', 'systemd-coredump.socket');
  });
  afterEach(() => uninstall(NAME));

  async function crash(core: string): Promise<IncidentReport> {
    const exec = 'exec: [/bin/sh, -c, "while :; do sleep 1; done"]';
    declare(NAME, ['template: native', exec, `limits: { core: ${core} }`]);
    await systemctl('start', `plugin@${NAME}`);
    await until('it is ready', async () => (await readySandboxes(NAME)).length === 1, 60_000);
    const [sandbox] = await readySandboxes(NAME);
    process.kill(sandbox?.payloadPid ?? 0, 'SIGSEGV');
    await untilReplaced(NAME, 1, sandbox?.unit ?? '');
    let id = '';
    await until(
      'its bundle is whole',
      async () => {
        const text = await must('bulkheadctl', 'incidents', 'list', NAME, '--json');
        const [last] = JSON.parse(text) as IncidentSummary[];
        id = last?.id ?? '';
        return last?.evidence === 'whole' && last.unit === sandbox?.unit;
      },
      120_000,
    );
    return JSON.parse(await must('bulkheadctl', 'incidents', 'show', id, '--json')) as IncidentReport;
  }

  it('are kept with the incident, under a name that says whose they are', async () => {
    const { directory, files } = await crash('infinity');
    const core = files.find(({ name }) => name.startsWith(`core.${NAME}.none.none.`));
    assert.ok(core !== undefined && core.bytes > 1000, JSON.stringify(files));
    const found = await must('stat', '--format=%a %U', `${directory}/${core.name}`);
    assert.equal(found.trim(), '600 root');
  });

  it('are none where none is declared, and none is waited for', async () => {
    const { files, missing } = await crash('0');
    assert.deepEqual(
      files.filter(({ name }) => name.startsWith('core')),
      [],
    );
    assert.deepEqual(
      missing.filter((text) => text.startsWith('core')),
      [],
    );
  });
});
