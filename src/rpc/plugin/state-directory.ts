import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A directory below $STATE_DIRECTORY, made if it is not there.
 * @throws Error without $STATE_DIRECTORY.
 */
export async function stateDirectory(environment: NodeJS.ProcessEnv, name: string): Promise<string> {
  // systemd allows several, with colons between them; bulkhead gives one.
  const [root] = (environment.STATE_DIRECTORY ?? '').split(':');
  if (root === undefined || root === '') throw new Error('there is no $STATE_DIRECTORY to keep anything in');
  const path = join(root, name);
  await mkdir(path, { recursive: true, mode: 0o700 });
  return path;
}

/** Makes names that were made or removed in a directory last (fsync(2)). */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
