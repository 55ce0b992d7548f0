import { formatBytes } from '../base/bytes.ts';
import type { Declaration } from '../declare/declaration.ts';
import { signalNumber } from './signal-number.ts';

/** Where a sandbox sees the bridge of a program that speaks on its standard streams; native/stdio. */
export const BRIDGE_PATH = '/run/plugin-stdio';

/** What init executes before the program's own words: the bridge, which executes them; nothing for other programs. */
export function bridgeWords({ stdio, health, stop }: Declaration): readonly string[] {
  if (stdio === undefined) return [];
  return [
    BRIDGE_PATH,
    `--protocol=${stdio.protocol}`,
    `--process=${stdio.process}`,
    `--connections=${stdio.connections}`,
    `--message=${stdio.message}`,
    `--start-ms=${health.startTimeoutMs}`,
    `--stop-signal=${signalNumber(stop.signal)}`,
    '--',
  ];
}

/** What asks the main process of the sandbox to end: the bridge has a signal of its own, and passes the declared one on. */
export function mainStopSignal({ stdio, stop }: Declaration): string {
  return stdio === undefined ? stop.signal : 'SIGTERM';
}

/** How it is offered, key by key; a program that serves sockets itself has nothing but its kind. */
export function stdioTexts({ stdio }: Declaration): readonly (readonly [key: string, text: string])[] {
  if (stdio === undefined) return [['kind', 'service']];
  return [
    ['kind', 'stdio'],
    ['stdio.protocol', stdio.protocol],
    ['stdio.process', stdio.process],
    ['stdio.connections', String(stdio.connections)],
    ['stdio.message', formatBytes(stdio.message)],
  ];
}
