import { chmodSync, chownSync, cpSync } from 'node:fs';
import { must } from '../../support/system.ts';
import { type Attempt, byKind, harmless, killed, opening, refused } from '../attempt.ts';
import { PROGRAM, type Scene } from '../scene.ts';

/** The program in the version's directory once more, with what gives privileges where nothing forbids it. */
function copy(scene: Scene, name: string, uid: number, gid: number, mode: number): string {
  const path = `${scene.version}/${name}`;
  cpSync(PROGRAM, path);
  chownSync(path, uid, gid);
  chmodSync(path, mode);
  return path;
}

const NOTHING =
  /^gave ok Uid=1000 1000 1000 1000 Gid=1000 1000 1000 1000 Groups=CapPrm=0{16} CapEff=0{16} CapBnd=0{16} NoNewPrivs=1 Seccomp=2 Seccomp_filters=1 \\x0a \(exit 0\)$/;

export const PRIVILEGES: readonly Attempt[] = [
  {
    name: 'what it is',
    steps: () => [['exec', '/plugin/main', 'run', 'ids']],
    expects: harmless(NOTHING),
  },
  {
    name: "a set-uid program of the sandbox's root",
    steps: async (scene) => {
      const { uidBase } = await scene.own();
      copy(scene, 'setuid-root', uidBase, uidBase, 0o6755);
      return [['exec', '/plugin/setuid-root', 'run', 'ids']];
    },
    expects: harmless(NOTHING),
  },
  {
    name: "a set-uid program of the host's root",
    steps: (scene) => {
      copy(scene, 'setuid-host', 0, 0, 0o6755);
      return [['exec', '/plugin/setuid-host', 'run', 'ids']];
    },
    expects: harmless(NOTHING),
  },
  {
    name: 'a set-uid program of the neighbour',
    steps: (scene) => {
      const id = scene.neighbour.uidBase + 1000;
      copy(scene, 'setuid-neighbour', id, id, 0o6755);
      return [['exec', '/plugin/setuid-neighbour', 'run', 'ids']];
    },
    expects: harmless(NOTHING),
  },
  {
    name: 'a program with capabilities',
    steps: async (scene) => {
      const path = copy(scene, 'setcap', 0, 0, 0o755);
      await must('setcap', 'cap_net_raw,cap_sys_admin+ep', path);
      return [['exec', '/plugin/setcap', 'run', 'ids']];
    },
    // Capabilities of files do not count in a scope's mounts; with nspawn, who cannot have them cannot execute such a file.
    expects: byKind({ nspawn: refused('EPERM'), scope: harmless(NOTHING) }),
  },
  // As they come in Debian: each dies of the first privileged call that it makes, and would give up without privileges.
  ...['/usr/bin/su', '/usr/bin/passwd', '/usr/bin/chsh', '/usr/bin/newgrp'].map(
    (path): Attempt => ({
      name: `set-uid ${path}`,
      steps: () => [['exec', path]],
      expects: killed(['prctl', 'setgid', 'setuid', 'setresuid']),
      filterOnly: true,
    }),
  ),
  {
    name: 'set-uid /usr/bin/mount',
    steps: () => [['exec', '/usr/bin/mount', '-t', 'tmpfs', 'none', '/tmp']],
    expects: killed(['setuid', 'mount']),
    filterOnly: true,
  },
  opening('/plugin/of-host-user', 'r', 'EACCES'),
  opening('/plugin/of-neighbour', 'r', 'EACCES'),
  opening('/plugin/of-host-root', 'r', 'EACCES'),
  {
    name: 'a file that belongs to somebody else',
    steps: () => [['call', 'chown', 's:/tmp', 0, 0]],
    expects: refused('EPERM'),
  },
];
