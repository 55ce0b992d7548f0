import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Failure } from '../base/failure.ts';

const GETENT_LIMIT_MS = 5000;

/** Numeric id of a user, by name or number, as the host's name service knows it (getent(1)). Throws BH207. */
export function userId(user: string): Promise<number> {
  return idOf('passwd', 'user', user);
}

/** Numeric id of a group. Throws BH207. */
export function groupId(group: string): Promise<number> {
  return idOf('group', 'group', group);
}

async function idOf(database: 'passwd' | 'group', kind: string, name: string): Promise<number> {
  if (name === 'root') return 0;
  if (/^\d{1,10}$/.test(name)) return Number(name);
  try {
    const { stdout } = await promisify(execFile)('getent', [database, '--', name], { timeout: GETENT_LIMIT_MS });
    const id = stdout.split(':')[2];
    if (id !== undefined && /^\d+$/.test(id)) return Number(id);
  } catch {
    // Exit status 2: there is no such entry.
  }
  throw new Failure('BH207', `there is no ${kind} '${name}'`);
}
