import { sendDatagram } from '../kernel/native.ts';
import { readSafeMode, turnOffSafeMode, turnOnSafeMode } from '../kernel/safe-mode.ts';
import { Journal } from '../systemd/journal.ts';
import { caller } from './caller.ts';
import type { SafeModeSwitch } from './verb.ts';

/** Safe mode of this host. It is thrown without the supervisor, so who did it is told to the journal from here. */
export const safeModeSwitch: SafeModeSwitch = {
  reason: () => readSafeMode(),
  turnOn() {
    const reason = `turned on by ${caller()} at ${new Date().toISOString()}`;
    turnOnSafeMode(reason);
    tell(`safe mode is on, no plugin starts: ${reason}`);
  },
  turnOff() {
    turnOffSafeMode();
    tell(`safe mode is off: turned off by ${caller()}`);
  },
};

function tell(text: string): void {
  const journal = new Journal({ sendDatagram, writeLine: () => {}, identifier: 'bulkheadctl' });
  journal.write('warning', text, { BULKHEAD_EVENT: 'safe-mode' });
}
