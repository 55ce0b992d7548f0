import assert from 'node:assert/strict';
import { filesBelow, textOf } from './tree.ts';

/** Whoever answers a filter's listener can let a forbidden call go on; so nothing of ours ever does. */
describe('the listener of a filter', () => {
  it('is read, and never answered', () => {
    const sources = filesBelow('native').filter((file) => /\.[ch]$/.test(file));
    const naming = (word: RegExp): string[] => sources.filter((file) => word.test(textOf(file)));
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_RECV/), ['native/init/forbidden.c']);
    assert.deepEqual(naming(/SECCOMP_IOCTL_NOTIF_(SEND|ADDFD)|SECCOMP_USER_NOTIF_FLAG_CONTINUE/), []);
  });
});
