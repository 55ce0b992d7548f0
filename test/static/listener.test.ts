import assert from 'node:assert/strict';
import { filesBelow, textOf } from './tree.ts';

/** Whoever answers a filter's listener can let a forbidden call go on; nothing of ours does, but where a plugin learns. */
describe('the listener of a filter', () => {
  it('is read, and never answered but in a run that learns, and by the gate for accept(2)', () => {
    const sources = filesBelow('native').filter((file) => /\.[ch]$/.test(file));
    const naming = (word: RegExp): string[] => sources.filter((file) => word.test(textOf(file)));
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_RECV/), ['native/init/forbidden.c', 'native/init/learn.c']);
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_SEND|SECCOMP_USER_NOTIF_FLAG_CONTINUE/), [
      'native/init/gate.c',
      'native/init/learn.c',
    ]);
    // The one function of the gate that gets calls looks at them first.
    assert.match(
      textOf('native/init/gate.c'),
      /bool gate_ask\([^)]*\) \{\n {4}if \(!gate\.made \|\| !accepts\(&call->data\)\) return false;/,
    );
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_ADDFD/), []);
  });
});
