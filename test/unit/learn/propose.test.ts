import assert from 'node:assert/strict';
import { listText, propose } from '../../../src/learn/propose.ts';
import { parseRules, type Rule, ruleText, type SeenCall } from '../../../src/learn/rule.ts';

/** `request=A,B` with the values 1, 2 and so on; `flags-without=X` with the bits of 8. */
function rule(line: string): Rule {
  const [call = '', ...words] = line.split(' ');
  const errno = words.find((word) => word.startsWith('errno='))?.slice(6) ?? '';
  const conditions = words
    .filter((word) => !word.startsWith('errno='))
    .map((text) => {
      const without = text.includes('-without=');
      const names = text.slice(text.indexOf('=') + 1).split(',');
      return { text, argument: 1, without, values: without ? ['8'] : names.map((_, index) => String(index + 1)) };
    });
  return { call, errno, conditions, reason: `reason of ${call}` };
}

function seen(call: string, fields: Partial<SeenCall> = {}): SeenCall {
  return { call, argument: -1, value: '0', more: false, answer: 'allowed', errno: 0, ...fields };
}

const ENDS = ['execve arg5=INIT', 'write', 'exit_group'];
const CEILING = [
  'read',
  'write',
  'exit_group',
  'execve',
  'fork',
  'ioctl request=A,B',
  'ioctl request=C errno=ENODEV',
  'mmap prot-without=X',
  'mmap prot=R,W,RW',
  'clone3 errno=ENOSYS',
].map(rule);

describe('a proposal', () => {
  const lines = (calls: readonly SeenCall[], current: readonly Rule[] = CEILING): string[] =>
    propose(calls, CEILING, current).list.map(ruleText);

  it('has the lines that were used, with the values that were used, and what no program goes without', () => {
    assert.deepEqual(lines([seen('read')]), ['read', ...ENDS]);
    assert.deepEqual(lines([seen('ioctl', { argument: 1, value: '2' })]), ['ioctl request=B', ...ENDS]);
    assert.deepEqual(
      lines([
        seen('ioctl', { argument: 1, value: '1' }),
        seen('ioctl', { argument: 1, value: '2' }),
        seen('clone3', { answer: 'answered', errno: 38 }),
      ]),
      ['ioctl request=A,B', 'clone3 errno=ENOSYS', ...ENDS],
    );
  });

  it('takes as few lines as will do', () => {
    const at = (value: string) => seen('mmap', { argument: 1, value });
    assert.deepEqual(lines([at('1'), at('2')]), ['mmap prot-without=X', ...ENDS]);
    assert.deepEqual(lines([at('1'), at('4')]), ['mmap prot-without=X', ...ENDS]);
    assert.deepEqual(lines([at('2'), at('3')]).length, 1 + ENDS.length);
  });

  it('keeps a line whole when there were more values than are told', () => {
    assert.deepEqual(lines([seen('ioctl', { argument: 1, value: '1', more: true })]), ['ioctl request=A,B', ...ENDS]);
  });

  it('tells lines apart by the answer that differ in what is not looked at', () => {
    const family = { text: 'request=A', argument: 1, without: false, values: ['1'] };
    const protocol = (value: string) => ({ text: `protocol=${value}`, argument: 2, without: false, values: [value] });
    const ceiling: Rule[] = [
      { call: 'socket', errno: 'EPROTONOSUPPORT', conditions: [family, protocol('262')], reason: 'a' },
      { call: 'socket', errno: '', conditions: [family, protocol('6')], reason: 'b' },
    ];
    const made = seen('socket', { argument: 1, value: '1' });
    const refused = seen('socket', { argument: 1, value: '1', answer: 'answered', errno: 93 });
    const texts = (calls: readonly SeenCall[]) => propose(calls, ceiling, ceiling).list.map(ruleText);
    assert.deepEqual(texts([made]).slice(0, 1), ['socket request=A protocol=6']);
    assert.deepEqual(texts([refused]).slice(0, 1), ['socket request=A protocol=262 errno=EPROTONOSUPPORT']);
    assert.deepEqual(propose([made, refused], ceiling, ceiling).missing, []);
  });

  it('lets programs be executed only if some were', () => {
    assert.ok(lines([seen('execve')]).includes('execve'));
    assert.ok(!lines([seen('execve')]).includes('execve arg5=INIT'));
  });

  it('tells what the filter has and nothing used, down to values', () => {
    const current = ['read', 'write', 'fork', 'ioctl request=A,B', 'execve'].map(rule);
    const { unused } = propose([seen('read'), seen('ioctl', { argument: 1, value: '1' })], CEILING, current);
    assert.deepEqual(unused, ['fork', 'ioctl request=B', 'execve']);
  });

  it('tells what the filter lacks, and what was refused', () => {
    const current = ['write', 'ioctl request=A', 'fork errno=EPERM'].map(rule);
    const calls = [
      seen('read'),
      seen('write'),
      seen('fork'),
      seen('ioctl', { argument: 1, value: '1' }),
      seen('ioctl', { argument: 1, value: '2' }),
      seen('mount', { answer: 'refused', errno: 1 }),
      seen('ioctl', { argument: 1, value: '255', answer: 'refused', errno: 1 }),
      seen('x32:39', { answer: 'refused', errno: 1 }),
    ];
    const { missing, refused, list } = propose(calls, CEILING, current);
    assert.deepEqual(missing, ['read', 'fork', 'ioctl request=B']);
    assert.deepEqual(refused, ['mount', 'ioctl arg1=0xff', 'x32:39']);
    assert.ok(!list.map(ruleText).some((text) => text.startsWith('mount')));
  });

  it('keeps what a list of the administrator allows and the ceiling refused', () => {
    const current = ['personality', 'read'].map(rule);
    const { list, refused } = propose([seen('personality', { answer: 'refused', errno: 1 })], CEILING, current);
    assert.deepEqual(refused, []);
    assert.ok(list.map(ruleText).includes('personality'));
  });

  it('becomes a list that can be read', () => {
    const { list } = propose([seen('read')], CEILING, CEILING);
    const text = listText(list, ['of plugin x']);
    assert.match(text, /^# of plugin x\n\nread +# reason of read\n/);
    assert.ok(text.endsWith('\n'));
    for (const line of text.trimEnd().split('\n').slice(2)) assert.match(line, / {2}# \S/);
  });

  it('is made of what the compiler of lists prints', () => {
    const printed = '{"call":"read","errno":"","conditions":[],"reason":"files"}\n';
    assert.deepEqual(parseRules(printed), [{ call: 'read', errno: '', conditions: [], reason: 'files' }]);
  });
});
