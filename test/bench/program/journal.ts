import { execFileSync } from 'node:child_process';

/** One line of the journal, of those that the benchmarks look at. */
export interface JournalLine {
  /** CLOCK_MONOTONIC in ms: when it was sent, if the sender's kernel said so, else when it was received. */
  readonly at: number;
  readonly message: string;
  /** Unit that systemd or the supervisor speaks of. */
  readonly about: string;
  /** Plugin that the supervisor speaks of. */
  readonly plugin: string;
  /** What the supervisor says happened; empty for lines of others. */
  readonly event: string;
  readonly id: string;
}

const FIELDS = 'MESSAGE,MESSAGE_ID,UNIT,BULKHEAD_EVENT,BULKHEAD_UNIT,BULKHEAD_PLUGIN,_SOURCE_REALTIME_TIMESTAMP';

/** The journal since this boot, oldest first. @param last only so many lines */
export function journal(last?: number): JournalLine[] {
  const text = execFileSync(
    'journalctl',
    ['-b', '-o', 'json', `--output-fields=${FIELDS}`, ...(last === undefined ? [] : ['-n', String(last)])],
    { encoding: 'utf8', maxBuffer: 256 << 20 },
  );
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => journalLine(JSON.parse(line) as Record<string, unknown>));
}

function journalLine(entry: Record<string, unknown>): JournalLine {
  const text = (field: string): string => (typeof entry[field] === 'string' ? (entry[field] as string) : '');
  const received = Number(entry.__REALTIME_TIMESTAMP);
  const sent = Number(entry._SOURCE_REALTIME_TIMESTAMP ?? received);
  return {
    at: (Number(entry.__MONOTONIC_TIMESTAMP) - (received - sent)) / 1000,
    message: text('MESSAGE'),
    about: text('UNIT') === '' ? text('BULKHEAD_UNIT') : text('UNIT'),
    plugin: text('BULKHEAD_PLUGIN'),
    event: text('BULKHEAD_EVENT'),
    id: text('MESSAGE_ID'),
  };
}

/** When a payload of the benchmarks ran its first instruction (monotonic ms), if the line is its own. */
export function firstInstruction({ message }: JournalLine): number | undefined {
  const nanoseconds = /^started (\d+)$/.exec(message)?.[1];
  return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e6;
}
