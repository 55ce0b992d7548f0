import assert from 'node:assert/strict';
import { explain, FAILURE_CLASS_NAMES } from '../../../src/base/failure-class.ts';

describe('what is said of a failure', () => {
  it('names the plugin wherever it is about one', () => {
    for (const name of FAILURE_CLASS_NAMES) {
      const { summary, advice } = explain(name, undefined, 'hello');
      assert.doesNotMatch(`${summary} ${advice}`, /\bNAME\b/, name);
    }
    assert.match(explain('crash', 'SIGTERM', 'hello').advice, /systemctl stop plugin@hello/);
  });

  it('is that of its kind where that of the class would mislead', () => {
    assert.notEqual(explain('hang', 'stopped', 'x').summary, explain('hang', 'blocked', 'x').summary);
    assert.equal(explain('crash', 'SIGKILL', 'x').summary, explain('crash', 'SIGSEGV', 'x').summary);
    assert.notEqual(explain('crash', 'SIGKILL', 'x').advice, explain('crash', 'SIGSEGV', 'x').advice);
  });
});
