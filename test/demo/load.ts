import { HttpLoad } from '../support/load.ts';

/**
 * Load on 127.0.0.1:PORT until SIGTERM. Prints `serving` when the first answers have come, and at the end
 * one line `OK LOST REFUSED GAP`: requests answered well, requests lost, those of them that nobody took, and the
 * longest time between two good answers in milliseconds.
 */
const port = Number(process.argv[2]);
const target = { host: '127.0.0.1', port };
/** Each connection has at most one request under way; half of them bring many requests, half a single one. */
const CONNECTIONS_OF_A_KIND = 4;
/** Leaves time for what is shown, on two processors. */
const THINK_MS = 2;
const FIRST_ANSWERS = 50;

const kinds = [true, false].map(
  (keepAlive) => new HttpLoad({ target, connections: CONNECTIONS_OF_A_KIND, keepAlive, thinkMs: THINK_MS }),
);
process.on('SIGTERM', () => {
  Promise.all(kinds.map((kind) => kind.stop())).then((results) => {
    const lost = results.flatMap((result) => result.lost);
    const ok = results.reduce((sum, result) => sum + result.ok, 0);
    const refused = lost.filter(({ why }) => why === 'refused').length;
    const gap = Math.max(...results.map(({ longestGapMs }) => longestGapMs));
    process.stdout.write(`${ok} ${lost.length} ${refused} ${Math.round(gap)}\n`);
  });
});
await Promise.all(kinds.map((kind) => kind.more(FIRST_ANSWERS)));
process.stdout.write('serving\n');
