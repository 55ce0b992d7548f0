/** Numbers of the signals that a declaration may name; the same on all architectures that systemd supports. */
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGWINCH: 28,
};

/** Number of a signal that a declaration may name. Throws RangeError for another one. */
export function signalNumber(name: string): number {
  const number = SIGNAL_NUMBERS[name];
  if (number === undefined) throw new RangeError(`no number for signal '${name}'`);
  return number;
}
