import { closeSync } from 'node:fs';
import { duplicate } from '../../src/kernel/native.ts';
import { type DescriptorStore, LISTENER_PREFIX } from '../../src/traffic/listeners.ts';

/** systemd's fd store, for tests: copies that outlive whoever gave them. */
export class KeptDescriptors implements DescriptorStore {
  readonly fds = new Map<string, number>();

  store(name: string, fd: number): void {
    this.fds.set(name, duplicate(fd));
  }

  remove(name: string): void {
    const fd = this.fds.get(name);
    if (fd !== undefined) closeSync(fd);
    this.fds.delete(name);
  }

  /** What the next supervisor gets. */
  inherited(): Map<string, number> {
    return new Map([...this.fds].map(([name, fd]) => [name.slice(LISTENER_PREFIX.length), duplicate(fd)]));
  }

  clear(): void {
    for (const name of [...this.fds.keys()]) this.remove(name);
  }
}
