import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import type { NodeReport } from '../../../src/control/api.ts';
import { declare, must, run, systemctl, uninstall, until, untilWhole } from '../../support/system.ts';

const FILE = '/etc/bulkhead/bulkhead.yaml';
const DROP_IN = '/run/systemd/system/bulkhead-node.service.d';

async function configure(text: string): Promise<void> {
  writeFileSync(FILE, text);
  await systemctl('reload', 'bulkheadd');
}

async function node(): Promise<NodeReport> {
  return JSON.parse((await run('bulkheadctl', 'node', '--json')).stdout) as NodeReport;
}

/** Entries of the supervisor's journal since then. */
function journal(since: string): Promise<string> {
  return must('journalctl', '--unit=bulkheadd', '--output=cat', '--no-pager', `--after-cursor=${since}`);
}

async function now(): Promise<string> {
  const shown = await must('journalctl', '--unit=bulkheadd', '--lines=0', '--show-cursor', '--no-pager');
  return /^-- cursor: (.*)$/m.exec(shown)?.[1] ?? '';
}

describe('the configuration of bulkhead itself', function () {
  this.timeout(120_000);

  afterEach(async () => {
    rmSync(FILE, { force: true });
    rmSync(DROP_IN, { recursive: true, force: true });
    await systemctl('daemon-reload');
    await systemctl('reload', 'bulkheadd');
    await uninstall('concerned');
  });

  it('is taken at a reload, and a mistake in it changes nothing and is told by everything that is asked', async () => {
    await configure('node: { every: 33s }\n');
    await until('it holds', async () => (await node()).thresholds.everyMs === 33_000);
    const since = await now();
    await configure('node: { every: 34s }\nnodes: 1\n');
    await until('it is told', async () => (await journal(since)).includes('what was read before holds'));
    const mistake = `${FILE}:2:1: BH102 unknown key 'nodes' (did you mean 'node'?)`;
    assert.ok((await journal(since)).includes(mistake));
    assert.equal((await node()).thresholds.everyMs, 33_000);
    assert.ok((await must('systemctl', 'show', '--property=StatusText', 'bulkheadd')).includes(mistake));
    assert.ok((await run('bulkheadctl', 'doctor')).stdout.replaceAll(/\s+/g, ' ').includes(mistake));
    const checked = await run('bulkheadctl', 'check');
    assert.equal(checked.status, 1);
    assert.ok(checked.stdout.includes(mistake));
  });

  it('does not keep the supervisor from starting when it is broken', async () => {
    writeFileSync(FILE, 'node: [\n');
    const since = await now();
    await systemctl('restart', 'bulkheadd');
    assert.equal((await node()).thresholds.everyMs, 60_000);
    assert.ok((await journal(since)).includes('the configuration is not taken; the defaults hold'));
  });

  it('has thresholds of the node, and plugins hear of what is above one', async () => {
    declare('concerned', ['template: native', 'exec: [/usr/bin/sleep, infinity]']);
    await systemctl('start', 'plugin@concerned');
    await untilWhole('concerned', 1);
    await configure('node: { every: 5s, looks: 2, memory: 1% }\n');
    await until('the node is ill', async () => (await node()).troubles.some(({ kind }) => kind === 'memory'), 60_000);
    const { facts } = await node();
    assert.ok((facts?.memory?.totalBytes ?? 0) > 0 && (facts?.cpus ?? 0) > 0);
    assert.equal((await run('bulkheadctl', 'node')).status, 1);
    await until('an incident is opened', async () => {
      const incidents = JSON.parse(await must('bulkheadctl', 'incidents', 'list', 'concerned', '--json')) as {
        readonly class: string;
      }[];
      return incidents.some((incident) => incident.class === 'hardware');
    });
    const [sandbox] = await untilWhole('concerned', 1);
    assert.match(sandbox?.unit ?? '', /-g1\.service$/, 'a node that is ill restarts nothing by default');
    await configure('node: { every: 5s, looks: 2 }\n');
    await until('it is well again', async () => (await node()).troubles.length === 0, 60_000);
  });

  it('outlives a look that hangs', async () => {
    mkdirSync(DROP_IN, { recursive: true });
    writeFileSync(
      `${DROP_IN}/hang.conf`,
      '[Service]\nExecStart=\nExecStart=/usr/bin/sleep infinity\nTimeoutStartSec=2s\n',
    );
    await systemctl('daemon-reload');
    await configure('node: { every: 5s }\n');
    await until('the look has failed', async () => (await node()).failure?.code === 'BH605', 60_000);
    assert.equal((await run('systemctl', 'is-active', 'bulkheadd')).stdout.trim(), 'active');
    rmSync(DROP_IN, { recursive: true });
    await systemctl('daemon-reload');
    await until('the next one is well', async () => (await node()).failure === null, 60_000);
  });
});
