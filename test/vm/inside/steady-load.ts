import { createInterface } from 'node:readline';
import { HttpLoad } from '../../support/load.ts';

/** What was seen between two commands; milliseconds. */
export interface Window {
  readonly latencies: readonly number[];
  /** Since the beginning. */
  readonly lost: number;
  readonly firstLost: string | undefined;
}

/**
 * A program of its own, so that it can have a unit of its own: steady load on a port of the host. A line `begin` on its
 * standard input begins a window; `end` ends it, and is answered by the window as JSON.
 */
function main(port: number, connections: number, thinkMs: number): void {
  let latencies: number[] = [];
  const lost: string[] = [];
  const load = new HttpLoad({
    target: { host: '127.0.0.1', port },
    connections,
    keepAlive: true,
    thinkMs,
    answered: (ms) => latencies.push(ms),
    lost: ({ why, detail }) => lost.push(`${why}: ${detail}`),
  });
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    if (line === 'begin') latencies = [];
    if (line !== 'end') return;
    const window: Window = { latencies, lost: lost.length, firstLost: lost[0] };
    process.stdout.write(`${JSON.stringify(window)}\n`);
  });
  lines.on('close', () => void load.stop());
}

const [port, connections, thinkMs] = process.argv.slice(2).map(Number);
if (port !== undefined) main(port, connections ?? 1, thinkMs ?? 0);
