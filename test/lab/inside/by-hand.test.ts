import assert from 'node:assert/strict';
import type { LoadReport } from '../../../src/control/api.ts';
import type { WhyReport } from '../../../src/control/incident-api.ts';
import { forEachIsolation } from '../../support/isolation.ts';
import {
  declare,
  installExample,
  must,
  readySandboxes,
  run,
  status,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../../support/system.ts';

const NAME = 'handled';
const DECLARATION = ['template: python', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9171 }]'];

forEachIsolation('by hand', function () {
  this.timeout(180_000);

  beforeEach(() => installExample(NAME, 'python', DECLARATION));
  afterEach(() => uninstall(NAME));

  it('a plugin is let out of quarantine, which why asks for', async () => {
    declare(NAME, [...DECLARATION, 'recovery: { crash: [quarantine] }']);
    await systemctl('start', `plugin@${NAME}`);
    const [sandbox] = await untilWhole(NAME, 1);
    assert.equal((await run('bulkheadctl', 'release', NAME)).status, 1);
    process.kill(sandbox?.payloadPid ?? 0, 'SIGKILL');
    await until('it is in quarantine', async () => (await status(NAME)).quarantined);
    const text = await must('bulkheadctl', 'why', NAME);
    assert.match(text, new RegExp(`^× ${NAME}: failed, in quarantine`));
    assert.match(text, new RegExp(`^ {2}bulkheadctl release ${NAME} `, 'm'));
    assert.ok(text.trimEnd().split('\n').length < 25, text);
    assert.equal(await must('bulkheadctl', 'release', NAME), `${NAME}: released\n`);
    await untilWhole(NAME, 1);
    const report = JSON.parse(await must('bulkheadctl', 'why', NAME, '--json')) as WhyReport;
    assert.deepEqual([report.quarantined, report.reason, report.last?.over === null], [false, null, false]);
  });

  it('its sandboxes are recycled, and each request is answered meanwhile', async () => {
    await systemctl('start', `plugin@${NAME}`);
    const [before] = await untilWhole(NAME, 1);
    const { over } = (await status(NAME)).recoveries;
    assert.match(await must('bulkheadctl', 'recycle', NAME), /are being replaced/);
    let asked = 0;
    await until('another one serves alone', async () => {
      await must('curl', '--fail', '--silent', '--show-error', 'http://127.0.0.1:9171/');
      asked += 1;
      const now = await readySandboxes(NAME);
      return now.length === 1 && now[0]?.unit !== before?.unit;
    });
    assert.ok(asked > 0);
    assert.equal((await status(NAME)).recoveries.over, over);
  });

  it('what it uses is shown, and costs no look', async () => {
    await systemctl('start', `plugin@${NAME}`);
    await untilWhole(NAME, 1);
    await until('a heartbeat', async () => {
      const report = JSON.parse(await must('bulkheadctl', 'top', '--once', '--json')) as LoadReport;
      const sandbox = report.plugins.find(({ name }) => name === NAME)?.sandboxes[0];
      return (sandbox?.vitals?.residentBytes ?? 0) > 1_000_000 && (sandbox?.vitals?.descriptors ?? 0) > 3;
    });
    assert.match(await must('bulkheadctl', 'top', '--once'), new RegExp(`^${NAME}-a-g\\d+ +ready +\\d+%`, 'm'));
  });
});
