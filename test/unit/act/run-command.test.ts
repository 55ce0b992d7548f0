import assert from 'node:assert/strict';
import { describeEnd } from '../../../src/act/run-command.ts';
import { runUnit, runUnitName } from '../../../src/unit/run-unit.ts';

const COMMAND = {
  incident: '20261125T213400-hello-1',
  words: ['/bin/page', '$HOME', '%n'],
  timeoutMs: 30_000,
  environment: { BULKHEAD_PLUGIN: 'hello' },
};

describe('a command about an incident', () => {
  it('is a unit of its own, which is found again by its name', () => {
    const name = runUnitName(COMMAND);
    assert.match(name, /^bulkhead-run-20261125T213400-hello-1-[0-9a-f]{8}\.service$/);
    assert.notEqual(runUnitName({ ...COMMAND, words: ['/bin/page', 'other'] }), name);
    assert.equal(runUnit(COMMAND).name, name);
  });

  it('is run as declared, with limits, and with what is known in its environment', () => {
    const properties = new Map(runUnit(COMMAND).properties.map(([name, , value]) => [name, value]));
    assert.deepEqual(properties.get('ExecStart'), [['/bin/page', ['/bin/page', '$$HOME', '%n'], false]]);
    assert.deepEqual(properties.get('Environment'), ['BULKHEAD_PLUGIN=hello']);
    assert.equal(properties.get('TimeoutStartUSec'), 30_000_000);
    assert.equal(properties.get('TasksMax'), 64);
  });

  it('is told of by how it ended', () => {
    const end = (Result: string, ExecMainCode: number, ExecMainStatus: number) =>
      describeEnd({ Result, ExecMainCode, ExecMainStatus }, 1000);
    assert.deepEqual(end('success', 1, 0), { status: 0, text: 'exit status 0' });
    assert.deepEqual(end('exit-code', 1, 3), { status: 3, text: 'exit status 3' });
    assert.deepEqual(end('signal', 2, 11), { status: -1, text: 'killed by signal 11' });
    assert.deepEqual(end('core-dump', 3, 6), { status: -1, text: 'killed by signal 6' });
    assert.deepEqual(end('timeout', 2, 15), { status: -1, text: 'it took longer than 1s' });
    assert.deepEqual(end('resources', 0, 0), { status: -1, text: 'it could not be run: resources' });
  });
});
