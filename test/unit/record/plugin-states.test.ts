import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { initialState } from '../../../src/decide/plugin-state.ts';
import { remember } from '../../../src/decide/restore.ts';
import { PluginStates } from '../../../src/record/plugin-states.ts';
import { examplePlan } from '../../support/plans.ts';

describe('plugin states on disk', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(`${tmpdir()}/bulkhead-states-`);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const never = (file: string, why: string) => assert.fail(`${file}: ${why}`);
  const saved = remember({ ...initialState('hello'), phase: 'on', plan: examplePlan() });

  it('come back as they were saved', () => {
    new PluginStates(directory).save('hello', saved);
    assert.deepEqual(new PluginStates(directory).all(never).get('hello'), saved);
  });

  it('of a version that knew fewer keys get the defaults of the others, and keep their digest', () => {
    new PluginStates(directory).save('hello', saved);
    const file = `${directory}/hello.json`;
    const stored = JSON.parse(readFileSync(file, 'utf8'));
    const { plan } = stored;
    delete plan.declaration.view;
    delete plan.declaration.recovery.backoff.factor;
    delete plan.limits.files;
    plan.declaration.limits.memory = { bytes: 4096 };
    writeFileSync(file, JSON.stringify(stored));
    const read = new PluginStates(directory).all(never).get('hello')?.plan;
    assert.deepEqual(read?.declaration.view, { root: 'host', tmp: 64 << 20, tmpfs: [] });
    assert.deepEqual(read?.declaration.recovery.backoff, { ...saved.plan?.declaration.recovery.backoff, factor: 2 });
    assert.deepEqual(read?.declaration.limits.memory, { bytes: 4096 });
    assert.equal(read?.limits.files, 1024);
    assert.equal(read?.digest, saved.plan?.digest);
  });

  it('that are damaged are told of and removed', () => {
    writeFileSync(`${directory}/hello.json`, '{');
    const damaged: string[] = [];
    assert.equal(new PluginStates(directory).all((file) => damaged.push(file)).size, 0);
    assert.deepEqual(damaged, [`${directory}/hello.json`]);
    assert.throws(() => readFileSync(`${directory}/hello.json`), { code: 'ENOENT' });
  });
});
