import assert from 'node:assert/strict';
import { filesBelow, textOf } from './tree.ts';

/** Whoever answers a filter's listener can let a forbidden call go on; nothing of ours does, but where a plugin learns. */
describe('the listener of a filter', () => {
  it('is read, and never answered but in a run that learns', () => {
    const sources = filesBelow('native').filter((file) => /\.[ch]$/.test(file));
    const naming = (word: RegExp): string[] => sources.filter((file) => word.test(textOf(file)));
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_RECV/), ['native/init/forbidden.c', 'native/init/learn.c']);
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_SEND|SECCOMP_USER_NOTIF_FLAG_CONTINUE/), ['native/init/learn.c']);
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_ADDFD/), []);
  });
});
