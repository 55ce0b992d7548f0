import { Failure } from '../../base/failure.ts';
import { escapeText } from '../../base/printable.ts';
import { JSON_OPTION, printJson, type Verb } from '../verb.ts';

export const SAFE_MODE: Verb = {
  name: 'safe-mode',
  summary: 'keep all plugins of this host from starting, or let them',
  help: [
    'on: no plugin starts any more, whoever asks for it, until safe mode is turned off; also not after a reboot. What runs goes on, and is only stopped with --now. off: plugins can be started again. Those that are enabled start with the next boot; until then they are started by hand, one after the other when one of them is suspected. Without an argument: whether it is on, and why.',
    'A host that is booted with bulkhead.safe-mode on the command line of the kernel is in safe mode, too; then off holds until the next boot.',
    'Needs root, and no supervisor. Who turned it on, and when, is shown by status and doctor.',
  ],
  arguments: [{ label: 'on|off', kind: 'word', words: ['on', 'off'], required: false, repeated: false }],
  options: [{ name: 'now', kind: 'flag', summary: 'with on: stop all plugins that run, too' }, JSON_OPTION],
  supervisor: 'none',
  async run(call, world) {
    const [wish] = call.arguments;
    if (call.flags.has('now') && wish !== 'on') throw new Failure('BH401', "'--now' goes with 'on' alone");
    if (wish !== undefined && wish !== 'on' && wish !== 'off')
      throw new Failure('BH401', `'safe-mode ${wish}'`, { advice: 'use on or off' });
    if (wish === 'on') world.safeMode.turnOn();
    if (wish === 'off') world.safeMode.turnOff();
    const stopped = call.flags.has('now') ? await world.run('systemctl', ['stop', 'plugin@*.service']) : 0;
    const reason = world.safeMode.reason();
    if (call.flags.has('json')) printJson(world, { on: reason !== undefined, reason: reason ?? null });
    else world.out.write(reason === undefined ? 'Safe mode is off.\n' : `${safeModeLine(reason)}\n`);
    return stopped === 0 ? 0 : 1;
  },
};

/** What everybody has to know who wonders why a plugin does not start. */
export function safeModeLine(reason: string): string {
  return `SAFE MODE is on, no plugin starts: ${escapeText(reason)}`;
}
