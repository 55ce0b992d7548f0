import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import type { Owned } from '../base/clock.ts';
import { owned } from '../base/owner.ts';

const AGENT = 'pkttyagent';

/** How long to wait for the agent to register; without it polkit refuses, which is said then. */
const REGISTER_MS = 2000;

/** Descriptor that the agent closes as soon as it is registered. */
const NOTIFY_FD = 3;

/**
 * Lets polkit ask for a password on this terminal, as systemctl does: pkttyagent(1) registers itself for its parent
 * process. `--fallback` leaves it to the desktop's own agent if there is one. Nothing happens for root, or when nobody
 * sits at a terminal.
 */
export function openPasswordAgent(): Promise<Owned> {
  const none = owned(() => {});
  if (process.geteuid?.() === 0 || process.stdin.isTTY !== true) return Promise.resolve(none);
  return new Promise((resolve) => {
    const child = spawn(AGENT, [`--notify-fd=${NOTIFY_FD}`, '--fallback'], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    });
    const timer = setTimeout(done, REGISTER_MS);
    function done(): void {
      clearTimeout(timer);
      resolve(owned(() => child.kill('SIGTERM')));
    }
    // polkit is not installed: then nobody can be asked, and the supervisor says so.
    child.on('error', () => {
      clearTimeout(timer);
      resolve(none);
    });
    const notify = child.stdio[NOTIFY_FD];
    if (notify instanceof Readable) notify.on('close', done).resume();
  });
}
