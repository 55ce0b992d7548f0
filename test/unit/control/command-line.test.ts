import assert from 'node:assert/strict';
import { Failure } from '../../../src/base/failure.ts';
import { readCommandLine } from '../../../src/control/command-line.ts';
import { VERBS } from '../../../src/control/verb-table.ts';

function read(line: string) {
  return readCommandLine(
    line.split(' ').filter((word) => word !== ''),
    VERBS,
  );
}

function call(line: string) {
  const request = read(line);
  assert.ok('verb' in request, 'a verb was expected');
  return { verb: request.verb.name, ...request.call };
}

function refused(line: string): Failure {
  try {
    read(line);
  } catch (thrown) {
    assert.ok(thrown instanceof Failure);
    assert.equal(thrown.code, 'BH401');
    return thrown;
  }
  throw new assert.AssertionError({ message: `'${line}' was accepted` });
}

describe('command line', () => {
  it('reads a verb with arguments and options in any order', () => {
    assert.deepEqual(call('logs -n 5 --follow hello'), {
      verb: 'logs',
      arguments: ['hello'],
      flags: new Set(['follow']),
      counts: new Map([['lines', 5]]),
      texts: new Map(),
    });
    assert.deepEqual(call('logs hello --lines=7').counts, new Map([['lines', 7]]));
    assert.deepEqual(call('logs hello -fn3').counts, new Map([['lines', 3]]));
  });

  it('takes flags before the verb', () => {
    assert.deepEqual(call('--json list').flags, new Set(['json']));
  });

  it('takes words after -- as arguments', () => {
    assert.deepEqual(call('check -- -odd.yaml').arguments, ['-odd.yaml']);
  });

  it('takes as many arguments as the verb does', () => {
    assert.equal(call('check a b c').arguments.length, 3);
    assert.match(refused('status a b').message, /'status' does not take 'b'/);
    assert.match(refused('start').message, /'start' needs NAME/);
  });

  it('suggests the verb and the option that was meant', () => {
    assert.match(refused('stauts').advice, /did you mean 'status'/);
    assert.match(refused('list --jsno').advice, /did you mean '--json'/);
    assert.match(refused('frobnicate').advice, /--help/);
    assert.match(refused('list -x').message, /unknown option '-x'/);
  });

  it('does not suggest what is hidden', () => {
    assert.doesNotMatch(refused('__complet').advice, /__complete/);
  });

  it('wants whole numbers', () => {
    assert.match(refused('logs hello -n many').message, /'--lines' needs a whole number, not 'many'/);
    assert.match(refused('events --since').message, /'--since' needs a whole number/);
    assert.match(refused('events --since -1').message, /'--since' needs a whole number/);
    assert.match(refused('list --json=yes').message, /takes no value/);
  });

  it('knows help and version without a verb', () => {
    assert.deepEqual(read('--help'), { helpAbout: undefined });
    assert.deepEqual(read('-h'), { helpAbout: undefined });
    assert.equal(call('--version').verb, 'version');
    assert.match(refused('').message, /no verb/);
    assert.match(refused('--verzion').advice, /did you mean '--version'/);
  });

  it('shows help about a verb even when its argument is missing', () => {
    const request = read('start --help');
    assert.ok('helpAbout' in request);
    assert.equal(request.helpAbout?.name, 'start');
  });
});
