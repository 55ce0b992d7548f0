import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Failure } from '../../../src/base/failure.ts';
import { completionScript } from '../../../src/control/completion.ts';
import { generalHelp, verbHelp } from '../../../src/control/help.ts';
import { translate } from '../../../src/control/manager-client.ts';
import { fromRow, toRow } from '../../../src/control/summary-row.ts';
import { verbManText } from '../../../src/control/verb-man.ts';
import { VERBS } from '../../../src/control/verb-table.ts';
import { VERSION } from '../../../src/control/version.ts';
import { status } from './support/fake-manager.ts';

const shown = VERBS.filter((verb) => !verb.hidden);

describe('table of verbs', () => {
  it('has unique names and options, and a summary and help for each', () => {
    assert.equal(new Set(VERBS.map(({ name }) => name)).size, VERBS.length);
    for (const verb of shown) {
      assert.ok(verb.summary !== '' && !verb.summary.endsWith('.'), verb.name);
      assert.ok(verb.help.length > 0, verb.name);
      const words = verb.options.flatMap((option) => [
        option.name,
        ...(option.short === undefined ? [] : [option.short]),
      ]);
      assert.equal(new Set([...words, 'help', 'h']).size, words.length + 2, verb.name);
    }
  });

  it('gives --json to every verb with output to read', () => {
    const without = shown.filter((verb) => !verb.options.some(({ name }) => name === 'json')).map(({ name }) => name);
    assert.deepEqual(without, ['help']);
  });

  it('shows in help, man text and completions', () => {
    const help = generalHelp(VERBS, 80);
    const man = verbManText(VERBS);
    for (const verb of shown) {
      assert.ok(help.includes(`  ${verb.name}`), verb.name);
      assert.ok(man.includes(`\\fB${verb.name.replaceAll('-', '\\-')}\\fR`), verb.name);
      for (const option of verb.options) {
        assert.ok(verbHelp(verb, 80).includes(`--${option.name}`), `${verb.name} ${option.name}`);
        assert.ok(man.includes(`\\-\\-${option.name.replaceAll('-', '\\-')}`), `${verb.name} ${option.name}`);
        assert.ok(completionScript('zsh', VERBS).includes(`--${option.name}`));
        assert.ok(completionScript('fish', VERBS).includes(`-l ${option.name}`));
      }
      assert.ok(completionScript('bash', VERBS).includes(`    ${verb.name}) `), verb.name);
    }
    assert.ok(!help.includes('__complete'));
  });

  it('has help that fits 80 columns', () => {
    for (const text of [generalHelp(VERBS, 200), ...shown.map((verb) => verbHelp(verb, 200))]) {
      for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
    }
  });

  it('completes in a real bash', () => {
    const probe = `compopt() { :; }; bulkheadctl() { echo hello; echo other; }
${completionScript('bash', VERBS)}
try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bulkheadctl; echo "\${COMPREPLY[*]}"; }
try bulkheadctl sta; try bulkheadctl status h; try bulkheadctl logs --f; try bulkheadctl help doc; try bulkheadctl --j
bulkheadctl() { [[ $2 == hello ]] && echo v1 || echo hello; }
try bulkheadctl upgrade h; try bulkheadctl upgrade --force hello v`;
    const { stdout, stderr, status: exit } = spawnSync('bash', ['-c', probe], { encoding: 'utf8' });
    assert.equal(exit, 0, stderr);
    assert.deepEqual(stdout.split('\n').slice(0, 7), [
      'status start',
      'hello',
      '--follow',
      'doctor',
      '',
      'hello',
      'v1',
    ]);
  });
});

describe('the wire', () => {
  it('brings a summary across unchanged', () => {
    for (const reason of [null, { code: 'BH304' as const, text: 'exit status 3' }]) {
      const { name, state, version, ready, size, line } = status('hello');
      const summary = { name, state, version, ready, size, line, reason };
      assert.deepEqual(fromRow(toRow(summary)), summary);
      assert.deepEqual(fromRow(toRow({ ...summary, version: null })), { ...summary, version: null });
    }
  });

  it('keeps a reason whose code only a newer supervisor knows', () => {
    assert.deepEqual(fromRow(['a', 'failed', '', '', 0, 1, 'BH999', 'new']).reason, { code: 'BH407', text: 'new' });
  });

  it('turns what the bus says into what the supervisor meant', () => {
    const said = (dbusName: string, message: string) =>
      translate(new Failure('BH504', message, { dbusName }), 'GetStatus');
    const own = said('org.bulkhead.Error.BH404', "GetStatus: 'x'\nlook at the list");
    assert.deepEqual([own.line, own.advice], ["BH404 no such plugin: 'x'", 'look at the list']);
    assert.equal(said('org.freedesktop.DBus.Error.ServiceUnknown', 'x').code, 'BH402');
    assert.equal(said('org.freedesktop.DBus.Error.Spawn.ChildExited', 'x').code, 'BH402');
    assert.equal(said('org.freedesktop.DBus.Error.AccessDenied', 'x').code, 'BH403');
    assert.equal(said('org.freedesktop.DBus.Error.InvalidArgs', 'x').code, 'BH504');
    assert.equal(translate(new Failure('BH505', 'x'), 'GetStatus').code, 'BH402');
  });
});

describe('version', () => {
  it('is that of the package', () => {
    const text = readFileSync(new URL('../../../../../package.json', import.meta.url), 'utf8');
    assert.equal(VERSION, JSON.parse(text).version);
  });
});
