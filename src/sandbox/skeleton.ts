import { chmodSync, existsSync, mkdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';

/** Mount points and empty directories that the sandbox's root needs; nspawn mounts it read-only, so all must be there. */
const DIRECTORIES = [
  'dev',
  'etc',
  'home',
  'opt',
  'proc',
  'root',
  'run',
  'sys',
  'tmp',
  'usr',
  'var',
  'var/lib',
  'var/tmp',
];

/** Merged /usr, as on every distribution that we support. */
const LINKS: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  sbin: 'usr/sbin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  'var/run': '../run',
};

/** The least that libc and language runtimes look for. Nothing of the host's /etc is shown. */
const FILES: Readonly<Record<string, string>> = {
  'etc/passwd':
    'root:x:0:0:root:/root:/usr/sbin/nologin\nplugin:x:1000:1000:plugin:/tmp:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  'etc/group': 'root:x:0:\nplugin:x:1000:\nnogroup:x:65534:\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/os-release': 'ID=bulkhead-sandbox\nNAME="bulkhead sandbox"\n',
  'etc/machine-id': '',
  'etc/resolv.conf': '',
};

/**
 * Makes the root directory for sandboxes that see the host's /usr. Sandboxes that run keep using it, so what is
 * there is never taken away, only completed; each part is safe to repeat after a crash. Modes are set apart: the
 * supervisor's umask lets nobody else read, and payloads must.
 *
 * @param plugin where '/plugin' leads; without it it is a directory
 */
export function makeSkeleton(root: string, plugin?: string): void {
  for (const directory of ['', ...DIRECTORIES, ...(plugin === undefined ? ['plugin'] : [])]) {
    mkdirSync(`${root}/${directory}`, { recursive: true });
    chmodSync(`${root}/${directory}`, 0o755);
  }
  for (const [name, target] of Object.entries({ ...LINKS, ...(plugin === undefined ? {} : { plugin }) })) {
    if (linkTarget(`${root}/${name}`) === undefined) symlinkSync(target, `${root}/${name}`);
  }
  for (const [name, text] of Object.entries(FILES)) {
    if (!existsSync(`${root}/${name}`)) writeFileSync(`${root}/${name}`, text);
    chmodSync(`${root}/${name}`, 0o644);
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
