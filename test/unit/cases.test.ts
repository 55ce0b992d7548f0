import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { formatProblem } from '../../src/base/problem.ts';
import type { Origin } from '../../src/declare/declaration.ts';
import { hostMountUnit } from '../../src/unit/host-mount.ts';
import { pluginSlice } from '../../src/unit/plugin-slice.ts';
import type { BusProperty } from '../../src/unit/properties.ts';
import { transientUnit } from '../../src/unit/transient-unit.ts';
import { CASES, directives, type Outcome, runCase } from './case-file.ts';

/** Lines that set the case up; `case-file.ts` reads them. */
const SET_UP = [
  ...['name', 'with', 'host-missing', 'host-file', 'host-directory', 'host-memory', 'host-systemd'],
  ...['host-image', 'host-device', 'upgraded-to', 'brings'],
];

type Check = (outcome: Outcome, rest: string, file: string) => void;

/** What a case can expect. `expect-problem` is compared as a whole list, below. */
const CHECKS: Readonly<Record<string, Check>> = {
  'expect-property': (outcome, rest) => checkProperty(transientUnit(existing(outcome.sandbox)).properties, rest),
  'expect-no-property': (outcome, rest) => {
    const names = transientUnit(existing(outcome.sandbox)).properties.map(([name]) => name);
    assert.ok(!names.includes(rest), `'${rest}' is set`);
  },
  'expect-slice-property': (outcome, rest) => checkProperty(pluginSlice(existing(outcome.plan)).properties, rest),
  'expect-host-mount': ({ sandbox }, rest) => {
    const units = existing(sandbox).hostMounts.map(hostMountUnit);
    const shown = units.map(({ name, properties }) => {
      const wanted = properties.filter(([key]) => ['What', 'Type', 'Options'].includes(key));
      return [name, ...wanted.map(([key, , value]) => `${key}=${String(value)}`)].join(' ');
    });
    assert.ok(shown.includes(rest), shown.join('\n'));
  },
  'expect-unit': (outcome, rest) => assert.equal(outcome.sandbox?.unit, rest),
  'expect-slice': (outcome, rest) => assert.equal(outcome.sandbox?.sliceUnit, rest),
  'expect-anchor': (outcome, rest) => assert.equal(outcome.sandbox?.anchorUnit, rest),
  'expect-machine': (outcome, rest) => assert.equal(outcome.sandbox?.machine, rest),
  'expect-arg': ({ sandbox }, rest) =>
    assert.ok(sandbox?.command.includes(rest), `no '${rest}' in ${sandbox?.command.join('\n')}`),
  'expect-no-arg': ({ sandbox }, rest) => {
    assert.deepEqual(
      existing(sandbox).command.filter((arg) => arg.startsWith(rest)),
      [],
    );
  },
  'expect-filter': ({ sandbox }, rest) => assert.equal(existing(sandbox).seccomp, rest),
  /** Words that follow one another. */
  'expect-words': ({ sandbox }, rest) => {
    const { command } = existing(sandbox);
    const words = rest.split(' ');
    const found = command.some((_, at) => words.every((word, index) => command[at + index] === word));
    assert.ok(found, `no '${rest}' in ${command.join('\n')}`);
  },
  'expect-exec': ({ sandbox }, rest) => {
    const { init } = existing(sandbox);
    assert.deepEqual(init.slice(init.indexOf('--') + 1), JSON.parse(rest));
  },
  'expect-listener': ({ plan }, rest) =>
    assert.ok(
      plan?.listeners.some(({ key }) => key === rest),
      `no '${rest}'`,
    ),
  'expect-value': ({ declaration }, rest) => {
    const [, path = '', json = ''] = /^(\S+) (.*)$/.exec(rest) ?? [];
    let value: unknown = existing(declaration);
    for (const name of path.split('.')) value = (value as Record<string, unknown>)[name];
    assert.deepEqual(value, JSON.parse(json), path);
  },
  'expect-origin': ({ origins }, rest, file) => {
    const [key = '', ...words] = rest.split(' ');
    const origin = origins.get(key);
    const actual = origin === undefined ? 'nowhere' : whereFrom(origin);
    const [kind, ...more] = words;
    const expected =
      kind === 'declaration'
        ? [basename(file), ...more]
        : kind === 'template'
          ? [`templates/${more[0]}.yaml`, ...more.slice(1)]
          : words;
    assert.ok(
      `${actual} `.startsWith(`${expected.join(' ')} `),
      `'${key}' comes from ${actual}, not ${expected.join(' ')}`,
    );
  },
};

function whereFrom(origin: Origin): string {
  if (origin.kind === 'built-in') return 'built-in';
  return origin.kind === 'upgrade' ? origin.what : `${origin.file} ${origin.line}:${origin.column}`;
}

function existing<Value>(value: Value | undefined): Value {
  assert.ok(value !== undefined, 'there is no plan');
  return value;
}

function checkProperty(properties: readonly BusProperty[], rest: string): void {
  const [, name = '', expected = ''] = /^(\S+) ?(.*)$/.exec(rest) ?? [];
  const property = properties.find(([busName]) => busName === name);
  assert.ok(
    property !== undefined,
    `'${name}' is not set; set are ${properties.map(([busName]) => busName).join(', ')}`,
  );
  assert.equal(shown(property[2]), expected, name);
}

function shown(value: unknown): string {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  return Array.isArray(value) ? value.map(shown).join(' ') : String(value);
}

function addTests(directory: string, isBroken: boolean): void {
  for (const name of readdirSync(directory).sort()) {
    if (!/\.(yaml|conf)$/.test(name)) continue;
    const file = `${directory}/${name}`;
    it(name, () => {
      const all = directives(readFileSync(file, 'utf8'));
      const outcome = runCase(file);
      const problems = outcome.problems
        .map(formatProblem)
        .map((line) => line.replace(`${file.replace(`${CASES}/`, '')}:`, ''));
      const expected = all.filter(({ word }) => word === 'expect-problem').map(({ rest }) => rest);
      assert.deepEqual(
        problems.map((line) => line.replace(/^(\S*?\d+:\d+):/, '$1')),
        expected,
      );
      assert.equal(expected.length > 0, isBroken, 'a case belongs to test/cases/broken exactly when it has problems');
      const checks = all.filter(({ word }) => word !== 'expect-problem' && !SET_UP.includes(word));
      assert.ok(isBroken || checks.length > 0, 'the case expects nothing');
      for (const { word, rest } of checks) {
        const check = CHECKS[word];
        assert.ok(check !== undefined, `unknown line '## ${word}'`);
        check(outcome, rest, file);
      }
    });
  }
}

describe('cases', () => addTests(CASES, false));
describe('broken cases', () => addTests(`${CASES}/broken`, true));

describe('the set of cases', () => {
  it('is as large as it was promised', () => {
    assert.ok(readdirSync(CASES).filter((name) => /\.(yaml|conf)$/.test(name)).length >= 25);
    assert.ok(readdirSync(`${CASES}/broken`).length >= 40);
  });
});
