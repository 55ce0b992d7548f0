import { readFileSync } from 'node:fs';
import { type Attempt, byKind, harmless, opening, refused } from '../attempt.ts';
import type { Kind } from '../kind.ts';
import { LINKS, type Scene } from '../scene.ts';

function asItWas({ version }: Scene): void {
  const text = readFileSync(`${version}/open/file`, 'utf8');
  if (text !== 'as it was\n') throw new Error(`a file of the version is now '${text}'`);
}

const PAGE = '/run/bulkhead/activity';

/** Places that are made anew for each sandbox. */
const NEW_FILES: Readonly<Record<string, Readonly<Record<Kind, string>>>> = {
  '/run': { nspawn: 'EROFS', scope: 'EACCES' },
  '/run/host': { nspawn: 'EROFS', scope: 'ENOENT' },
  '/dev': { nspawn: 'EROFS', scope: 'EROFS' },
  '/dev/pts': { nspawn: 'EROFS', scope: 'ENOENT' },
  '/proc': { nspawn: 'ENOENT', scope: 'ENOENT' },
};

export const FILES: readonly Attempt[] = [
  ...Object.keys(LINKS).map((name) => opening(`/plugin/${name}`, 'r', name === 'to-proc' ? 'EACCES' : 'ENOENT')),
  ...[
    '/etc/shadow',
    '/root/.ssh',
    '/var/lib/dbus',
    '/opt/plugin',
    '/etc/bulkhead',
    '/home/user',
    '/var/log/journal',
    '/run/log',
  ].map((path) => opening(path, 'r', 'ENOENT')),
  ...['/run/systemd', '/run/dbus', '/run/bulkhead/sandbox', '/run/credentials', '/run/udev', '/run/plugin'].map(
    (path) => opening(path, 'r', 'ENOENT'),
  ),
  {
    name: 'to change a file of its version that everybody may write',
    steps: () => [['open', '/plugin/open/file', 'w']],
    expects: refused('EROFS'),
    after: asItWas,
  },
  {
    name: 'a new file in its version where everybody may make one',
    steps: () => [['open', '/plugin/open/new', 'wcx']],
    expects: refused('EROFS'),
  },
  {
    name: 'to cut a file of its version',
    steps: () => [['call', 'truncate', 's:/plugin/open/file', 0]],
    expects: refused('EROFS'),
    after: asItWas,
  },
  {
    name: 'to remove a file of its version',
    steps: () => [['call', 'unlink', 's:/plugin/open/file']],
    expects: refused('EROFS'),
    after: asItWas,
  },
  {
    name: 'a second name of a file of its version, where it can be written',
    steps: () => [['call', 'link', 's:/plugin/open/file', 's:/tmp/file']],
    expects: refused('EXDEV'),
  },
  {
    name: 'to move a file of its version away',
    steps: () => [['call', 'rename', 's:/plugin/open/file', 's:/tmp/file']],
    expects: refused('EXDEV'),
    after: asItWas,
  },
  {
    name: 'to write a file of its version by /proc/self/fd',
    steps: () => [
      ['open', '/plugin/open/file', 'r'],
      ['reopen', 'w'],
    ],
    expects: refused('EROFS'),
    after: asItWas,
  },
  ...['/', '/etc', '/usr', '/usr/bin', '/bin', '/var', '/home', '/root'].map((path) =>
    opening(`${path === '/' ? '' : path}/hostile`, 'wcx', 'EROFS'),
  ),
  {
    name: 'a new file where everybody may make one, in the root',
    steps: () => [['open', '/var/tmp/hostile', 'wcx']],
    expects: refused('EROFS'),
  },
  ...Object.entries(NEW_FILES).map(
    ([directory, errors]): Attempt => ({
      name: `a new file in ${directory}`,
      steps: () => [['open', `${directory}/hostile`, 'wcx']],
      expects: (kind) => refused(errors[kind]),
    }),
  ),
  opening('/run/plugin-init', 'w', 'EACCES'),
  {
    name: 'more room than its activity page may have',
    steps: () => [
      ['open', PAGE, 'w'],
      ['call', 'fallocate', 'fd', 0, 0, 64 << 20],
    ],
    // Where its ids are others, the page is not its own.
    expects: refused(['ENOSPC', 'EACCES']),
  },
  {
    name: 'its activity page away',
    steps: () => [['call', 'unlink', `s:${PAGE}`]],
    // Of whoever may: something is mounted there.
    expects: byKind({ nspawn: refused(['EROFS', 'EACCES', 'EBUSY']), scope: refused(['EACCES', 'EBUSY']) }),
  },
  {
    name: 'a second name of its activity page',
    steps: () => [['call', 'link', `s:${PAGE}`, 's:/tmp/page']],
    expects: refused('EXDEV'),
  },
  {
    name: 'another file beside its activity page',
    steps: () => [['open', '/run/bulkhead/hostile', 'wcx']],
    expects: byKind({ nspawn: refused('EROFS'), scope: refused('EACCES') }),
  },
  {
    name: 'a set-uid program in /tmp',
    steps: () => [
      ['open', '/tmp/setuid', 'wc'],
      ['call', 'fchmod', 'fd', 0o6755],
      ['stat', '/tmp/setuid'],
    ],
    // It is the payload's own, and no_new_privs takes the rest.
    expects: harmless(/^106755 1000 1000 /),
  },
  {
    name: 'an immutable file',
    steps: () => [
      ['open', '/tmp/immutable', 'wc'],
      ['call', 'ioctl', 'fd', 0x40086602, 'h:10000000'],
    ],
    expects: { kind: 'killed', call: 'ioctl' },
  },
];
