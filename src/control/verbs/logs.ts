import { anchorUnitName, pluginSliceName } from '../../plan/identity.ts';
import { requirePluginName } from '../plugin-argument.ts';
import { JSON_OPTION, PLUGIN, type Verb } from '../verb.ts';

const JOURNALCTL = 'journalctl';

export const LOGS: Verb = {
  name: 'logs',
  summary: 'show the journal of a plugin',
  help: [
    "Runs journalctl(1) for everything that the plugin's sandboxes and its plugin@NAME.service wrote, and what systemd and the supervisor wrote about it. Sandboxes that are started while --follow is on are shown, too.",
    'Who may read the journal is decided by journald: root and the group systemd-journal.',
  ],
  arguments: [PLUGIN],
  options: [
    { name: 'follow', short: 'f', kind: 'flag', summary: 'go on with new entries as they are written' },
    { name: 'lines', short: 'n', kind: 'count', label: 'N', summary: 'only the newest N entries' },
    JSON_OPTION,
  ],
  supervisor: 'none',
  async run(call, world) {
    const name = requirePluginName(call.arguments[0]);
    const args: string[] = [];
    if (call.flags.has('follow')) args.push('--follow');
    if (call.flags.has('json')) args.push('--output=json');
    const lines = call.counts.get('lines');
    if (lines !== undefined) args.push(`--lines=${lines}`);
    return (await world.run(JOURNALCTL, [...args, ...journalMatches(name)])) === 0 ? 0 : 1;
  },
};

/**
 * What selects the entries. The slice covers sandboxes of the future, which a pattern of unit names does not: journalctl
 * looks up patterns once, when it starts. Fields that any user could send along count only from root.
 */
export function journalMatches(name: string): string[] {
  const anchor = anchorUnitName(name);
  return [
    ...[`_SYSTEMD_SLICE=${pluginSliceName(name)}`, '+'],
    ...[`_SYSTEMD_UNIT=${anchor}`, '+'],
    ...[`UNIT=${anchor}`, '_PID=1', '+'],
    ...[`BULKHEAD_PLUGIN=${name}`, '_UID=0'],
  ];
}
