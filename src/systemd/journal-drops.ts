import { type ChildProcess, spawn } from 'node:child_process';
import type { Clock, Owned } from '../base/clock.ts';

/** journald's own message about what it dropped (sd-messages(3), SD_MESSAGE_JOURNAL_DROPPED). */
const DROPPED = 'a596d6fe7bfa4994828e72309e95d61e';

/** When journalctl ended; ms. */
const AGAIN_AFTER_MS = 10_000;

/** One entry as JSON; journald's own are far shorter. */
const LONGEST_LINE = 16_384;

/**
 * Tells how many messages journald dropped of which unit, because it wrote more than its LogRateLimitBurst=. journald
 * says so when the unit writes again after the interval. Nobody else can: `_TRANSPORT` is set by journald itself.
 */
export function watchJournalDrops(clock: Clock, dropped: (unit: string, count: number) => void): Owned {
  let child: ChildProcess | undefined;
  let timer: Owned | undefined;
  let released = false;
  const again = (): void => {
    if (!released) timer = clock.after(AGAIN_AFTER_MS, begin);
  };
  function begin(): void {
    const words = [
      '--follow',
      '--lines=0',
      '--output=json',
      '--output-fields=MESSAGE',
      '--quiet',
      `MESSAGE_ID=${DROPPED}`,
    ];
    let rest = '';
    let ended = false;
    const end = (): void => {
      if (!ended) again();
      ended = true;
    };
    child = spawn('journalctl', [...words, '_TRANSPORT=driver'], { stdio: ['ignore', 'pipe', 'ignore'] });
    child.on('error', end);
    child.on('close', end);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n');
      rest = (lines.pop() ?? '').slice(0, LONGEST_LINE);
      for (const line of lines) {
        const found = parseDropped(line);
        if (found !== undefined) dropped(found.unit, found.count);
      }
    });
  }
  begin();
  return {
    release() {
      released = true;
      timer?.release();
      child?.kill();
    },
  };
}

/** `Suppressed 17 messages from UNIT`, in an entry as JSON. */
export function parseDropped(line: string): { readonly unit: string; readonly count: number } | undefined {
  if (line.length > LONGEST_LINE) return undefined;
  try {
    const { MESSAGE: text } = JSON.parse(line) as { readonly MESSAGE?: unknown };
    const found = typeof text === 'string' ? /^Suppressed (\d{1,15}) messages from (\S+)$/.exec(text) : null;
    const [, digits, unit] = found ?? [];
    return digits === undefined || unit === undefined ? undefined : { unit, count: Number(digits) };
  } catch {
    return undefined;
  }
}
