import { chmodSync, rmSync } from 'node:fs';
import { must } from '../../support/system.ts';
import { type Attempt, byKind, forbidden, harmless, opening, refused } from '../attempt.ts';
import type { Scene } from '../scene.ts';

/** Nodes that somebody has put into the version's directory; number as in /dev. */
const NODES = [
  ['kmsg', 'c', 1, 11],
  ['mem', 'c', 1, 1],
  ['fuse', 'c', 10, 229],
  ['loop-control', 'c', 10, 237],
  ['tun', 'c', 10, 200],
  ['disk', 'b', 254, 0],
] as const;

async function putNode({ version }: Scene, [name, type, major, minor]: (typeof NODES)[number]): Promise<string> {
  const path = `${version}/${name}`;
  rmSync(path, { force: true });
  await must('mknod', path, type, String(major), String(minor));
  chmodSync(path, 0o666);
  return name;
}

export const DEVICES: readonly Attempt[] = [
  forbidden('a device node', ['mknodat', -100, 's:/tmp/kmsg', 0o20666, 0x10b]),
  forbidden('a device node of old', ['mknod', 's:/tmp/mem', 0o20666, 0x101]),
  forbidden('a disk node', ['mknodat', -100, 's:/tmp/disk', 0o60666, 0xfe00]),
  forbidden('keystrokes for the terminal of whoever started it', ['ioctl', 0, 0x5412, 's:x']),
  forbidden('a terminal to control', ['ioctl', 0, 0x540e, 1]),
  forbidden('messages for the console', ['ioctl', 0, 0x541d, 0]),
  forbidden('ports', ['ioperm', 0, 1024, 1]),
  forbidden('all ports', ['iopl', 3]),
  forbidden('to hang the terminal up', ['vhangup']),
  {
    name: 'every device that there is',
    steps: () => [['devices', '/']],
    expects: harmless(/^(?:\/\S+:(?:ok|EACCES|EPERM|ENXIO|EIO) )+$/),
  },
  ...['mem', 'kmem', 'port', 'sda', 'vda', 'kvm', 'loop-control', 'loop0', 'rtc0', 'input/event0', 'vhost-net'].map(
    (name) => opening(`/dev/${name}`, 'r', 'ENOENT'),
  ),
  ...NODES.map(
    (node): Attempt => ({
      name: `the node of ${node[0]} in its version`,
      steps: async (scene) => [['open', `/plugin/${await putNode(scene, node)}`, 'rw']],
      // A scope's version is mounted so that nodes in it are none.
      expects: byKind({ nspawn: refused('EPERM'), scope: refused('EACCES') }),
    }),
  ),
];
