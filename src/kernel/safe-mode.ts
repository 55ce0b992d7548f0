import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { asFailure, Failure } from '../base/failure.ts';

/** Where plugin@.service looks before it starts, too. */
export interface SafeModePlaces {
  /** Exists while safe mode is on, with the reason; over reboots. */
  readonly on: string;
  /** Exists while the kernel's command line is not to count, until the next boot. */
  readonly off: string;
  /** What systemd takes for the kernel's command line. */
  readonly commandLine: string;
}

/** In a container the command line is that of its first process (kernel-command-line(7), ConditionKernelCommandLine=). */
export const SAFE_MODE_PLACES: SafeModePlaces = {
  on: '/etc/bulkhead/safe-mode',
  off: '/run/bulkhead/safe-mode-off',
  commandLine: existsSync('/run/systemd/container') ? '/proc/1/cmdline' : '/proc/cmdline',
};

const WORD = 'bulkhead.safe-mode';
const LONGEST_REASON = 200;

/** Why no plugin starts on this host; undefined while safe mode is off. */
export function readSafeMode(places: SafeModePlaces = SAFE_MODE_PLACES): string | undefined {
  if (existsSync(places.on)) return firstLine(places.on).slice(0, LONGEST_REASON) || `there is a file '${places.on}'`;
  if (existsSync(places.off)) return undefined;
  const words = firstLine(places.commandLine).split(/[\s\0]+/);
  return words.some((word) => word.split('=')[0] === WORD)
    ? `'${WORD}' is on the command line of the kernel`
    : undefined;
}

/** @throws Failure BH403 when the caller may not. */
export function turnOnSafeMode(reason: string, places: SafeModePlaces = SAFE_MODE_PLACES): void {
  permitted(() => {
    rmSync(places.off, { force: true });
    writeFileSync(places.on, `${reason}\n`, { mode: 0o644 });
  });
}

/** Also what the command line asks for, until the next boot. @throws Failure BH403 when the caller may not. */
export function turnOffSafeMode(places: SafeModePlaces = SAFE_MODE_PLACES): void {
  permitted(() => {
    rmSync(places.on, { force: true });
    if (readSafeMode(places) !== undefined) writeFileSync(places.off, '', { mode: 0o644 });
  });
}

function permitted(change: () => void): void {
  try {
    change();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') throw new Failure('BH403', 'only root can change safe mode');
    throw asFailure(error);
  }
}

/** Empty when it cannot be read. */
function firstLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').split('\n')[0] ?? '';
  } catch {
    return '';
  }
}
