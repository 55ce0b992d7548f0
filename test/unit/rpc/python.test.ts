/** The tests of the Python SDK, which are written in Python: each is listed and judged here by itself. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT } from '../project.ts';

/** Debian's, which has Debian's python3-msgpack. */
const PYTHON = '/usr/bin/python3';
const TESTS = join(PROJECT, 'test', 'unit', 'rpc', 'python');
const SDK = join(PROJECT, 'src', 'rpc', 'python');
const ENV = { PATH: process.env.PATH, PYTHONPATH: `${SDK}:${TESTS}`, PYTHONDONTWRITEBYTECODE: '1' };

const LIST = `
import sys, unittest
def names(suite):
    for test in suite:
        yield from names(test) if isinstance(test, unittest.TestSuite) else [test.id()]
print("\\n".join(names(unittest.defaultTestLoader.discover(sys.argv[1]))))
`;
/** Prints what became of each test that was named: nothing, or why it failed. */
const RUN = `
import json, sys, unittest
became = {}
class Result(unittest.TestResult):
    def addSuccess(self, test): became.setdefault(test.id(), "")
    def addFailure(self, test, error): became[test.id()] = self._exc_info_to_string(error, test)
    addError = addFailure
    def addSkip(self, test, reason): became[test.id()] = f"skipped: {reason}"
unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:]).run(Result())
print(json.dumps(became))
`;

/** By name, what is to be empty. */
type Outcome = Readonly<Record<string, string>>;

async function outcomeOf(names: readonly string[]): Promise<Outcome> {
  const words = ['-W', 'error::ResourceWarning', '-c', RUN, ...names];
  const child = spawn(PYTHON, words, { env: ENV, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const [status] = await once(child, 'close');
  assert.equal(status, 0);
  return JSON.parse(said) as Outcome;
}

describe('the Python SDK', function () {
  this.timeout(300_000);
  const names = execFileSync(PYTHON, ['-c', LIST, TESTS], { env: ENV, encoding: 'utf8' }).trim().split('\n');
  let became: Outcome = {};
  // Most of them wait most of the time, so classes go side by side.
  before(async () => {
    const classes = [...new Set(names.map((name) => name.slice(0, name.lastIndexOf('.'))))];
    const groups = classes.map((group) => names.filter((name) => name.startsWith(`${group}.`)));
    became = Object.assign({}, ...(await Promise.all(groups.map(outcomeOf))));
  });

  for (const name of names) {
    const [file = '', group = '', test = ''] = name.split('.').map((word) => word.replace('test_', ''));
    it(`${file}, ${group.toLowerCase()}: ${test.replaceAll('_', ' ')}`, () => {
      assert.equal(became[name], '');
    });
  }

  it('has the version of the package', () => {
    const { version } = JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string };
    const words = ['-c', 'import bulkhead; print(bulkhead.__version__)'];
    assert.equal(execFileSync(PYTHON, words, { env: ENV, encoding: 'utf8' }).trim(), version);
  });
});
