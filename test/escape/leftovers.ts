import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { must } from '../support/system.ts';

const SETTINGS = ['kernel/core_pattern', 'kernel/hostname', 'kernel/modprobe', 'kernel/sysrq', 'vm/overcommit_memory'];

/** What of the host would show that somebody was here; the same before and after. */
export async function hostState(): Promise<unknown> {
  const listings = [
    '/',
    '/run',
    '/run/bulkhead/sandbox',
    '/run/systemd/nspawn/unix-export',
    '/dev',
    '/dev/shm',
    '/tmp',
  ];
  const sysvipc = ['shm', 'msg', 'sem'].map((kind) => readFileSync(`/proc/sysvipc/${kind}`, 'utf8').split('\n').length);
  return {
    settings: SETTINGS.filter((name) => existsSync(`/proc/sys/${name}`)).map((name) => [
      name,
      readFileSync(`/proc/sys/${name}`, 'utf8'),
    ]),
    listings: listings.filter(existsSync).map((path) => [path, readdirSync(path).filter(isNobodysOwn).sort()]),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n').length,
    groups: (await must('systemctl', 'list-units', '--all', '--plain', '--no-legend', 'plugin-*')).trim(),
    processes: (await must('ps', '-eo', 'comm='))
      .split('\n')
      .filter((name) => /hostile|plugin-(?!spawner)|main/.test(name)),
    sysvipc,
  };
}

/** Services of systemd come and go with private directories of their own, systemd-hostnamed say. */
function isNobodysOwn(name: string): boolean {
  return !name.startsWith('systemd-private-');
}
