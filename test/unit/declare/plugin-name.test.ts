import assert from 'node:assert/strict';
import { isPluginName, whyNotPluginName } from '../../../src/declare/plugin-name.ts';

describe('plugin names', () => {
  it('may be these', () => {
    for (const name of ['a', '0', 'my-plugin', 'a.b_c-d', 'x'.repeat(48)])
      assert.equal(whyNotPluginName(name), undefined, name);
  });

  it('may not be these, each for its reason', () => {
    const reasons: Readonly<Record<string, string>> = {
      '': 'it is empty',
      [`${'x'.repeat(49)}`]: 'it has 49 characters, 48 are allowed',
      Hello: 'it contains "H"',
      'a/b': 'it contains "/"',
      'a b': 'it contains " "',
      ä: 'it contains "ä"',
      'a\n': 'it contains "\\n"',
      '-a': 'it must begin and end with a letter or digit',
      'a.': 'it must begin and end with a letter or digit',
      'a..b': "it contains '..'",
    };
    for (const [name, reason] of Object.entries(reasons)) assert.equal(whyNotPluginName(name), reason);
    assert.equal(isPluginName('..'), false);
  });
});
