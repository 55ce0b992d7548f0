import { Failure } from '../../base/failure.ts';
import type { ExitStatus } from '../exit-status.ts';
import type { Manager } from '../manager.ts';
import { renderOutcome } from '../render/upgrade-view.ts';
import type { UpgradeOptions, UpgradeOutcomeStatus } from '../upgrade-api.ts';
import { followUpgrade, type UpgradeWatcher } from '../upgrade-follower.ts';
import { requireBake, requireCanary, requireWhy } from '../upgrade-options.ts';
import { changeOf, UpgradeProgress } from '../upgrade-progress.ts';
import { JSON_OPTION, type OptionSpec, PLUGIN, printJson, type Verb, type VerbCall, type World } from '../verb.ts';

const PRIVILEGE =
  'Needs the polkit action org.bulkhead.manage, which asks for an administrator unless the caller is root.';
const FOLLOWING =
  'It is followed until it is over, on standard error: a block that is drawn anew on a terminal, a line for each change elsewhere. Ctrl-C ends bulkheadctl, not the change; "bulkheadctl upgrade NAME" shows it again. With --json and --wait each change is printed as a JSON object on a line of its own, and the outcome last; with --json alone only the outcome.';

const WAITING: readonly OptionSpec[] = [
  { name: 'wait', kind: 'flag', summary: 'follow it until it is over; so it is without this option, too' },
  { name: 'no-wait', kind: 'flag', summary: 'end as soon as it has begun, and print its id' },
  { name: 'why', kind: 'text', label: 'TEXT', summary: 'what it is done for, for the audit trail' },
  JSON_OPTION,
];

export const UPGRADE: Verb = {
  name: 'upgrade',
  summary: 'change a plugin to another version, without losing a request',
  help: [
    'Starts the version beside the one that is live, gives it a growing part of new connections (upgrade.canary), compares both (upgrade.judge), and makes it the live one when it proves itself; the old one then ends what it has (upgrade.drain). Otherwise it is rolled back, and the old one serves all along.',
    'Without VERSION the change that is under way is shown. If there is none, the declaration as it is now is applied, as "systemctl reload plugin@NAME" does.',
    'A version that failed before is refused; --force tries it again. "bulkheadctl versions NAME" lists what is installed, "bulkheadctl why NAME" says why it failed.',
    FOLLOWING,
    'The exit status is 0 when the new version is live, 6 when it was rolled back, 7 when it was refused and nothing was started, 8 after Ctrl-C, and 1 when it was given up because the plugin was stopped.',
    PRIVILEGE,
  ],
  arguments: [PLUGIN, { label: 'VERSION', kind: 'version', required: false, repeated: false }],
  options: [
    {
      name: 'canary',
      kind: 'text',
      label: 'LIST',
      summary: 'ascending percents of new connections, such as 5,25; 100 for all at once',
    },
    { name: 'bake', kind: 'text', label: 'TIME', summary: 'how long each of these is watched, from 1s to 1d' },
    {
      name: 'force',
      kind: 'flag',
      summary: 'try a version again that failed before; leave one that is damaged, to which there is no way back',
    },
    ...WAITING,
  ],
  supervisor: 'needed',
  async run(call, world) {
    const [plugin = '', version = ''] = call.arguments;
    const waits = readWaiting(call);
    const options = readOptions(call);
    const manager = await world.manager();
    const underWay = version === '' ? (await manager.upgradeReport(plugin)).upgrade?.id : undefined;
    const id = underWay ?? (await asked(world, () => manager.upgrade(plugin, version, options)));
    if (!waits) return printId(id, call, world);
    const outcome = await follow(manager, plugin, id, call, world);
    return outcome === 'detached' ? 8 : STATUS[outcome.outcome];
  },
};

export const ROLLBACK: Verb = {
  name: 'rollback',
  summary: 'undo a change of version, or go back to the version before',
  help: [
    'Undoes the change that is under way, at whatever step it is. If there is none, the version that served before is started again, and gets all new connections as soon as it is ready, without a canary.',
    FOLLOWING,
    'The exit status is 0 when the version before serves, 7 when there is none, 8 after Ctrl-C, and 1 otherwise.',
    PRIVILEGE,
  ],
  arguments: [PLUGIN],
  options: WAITING,
  supervisor: 'needed',
  async run(call, world) {
    const [plugin = ''] = call.arguments;
    const manager = await world.manager();
    const waits = readWaiting(call);
    const why = readWhy(call) ?? '';
    const id = await asked(world, () => manager.rollback(plugin, why));
    if (!waits) return printId(id, call, world);
    const outcome = await follow(manager, plugin, id, call, world);
    if (outcome === 'detached') return 8;
    const undone = outcome.kind !== 'rollback' && outcome.outcome === 'rolled-back';
    return undone ? 0 : STATUS[outcome.outcome];
  },
};

function readOptions({ texts, flags }: VerbCall): UpgradeOptions {
  const canary = texts.get('canary');
  const bake = texts.get('bake');
  const why = texts.get('why');
  return {
    ...(canary === undefined ? {} : { canary: requireCanary(canary, 'BH401') }),
    ...(bake === undefined ? {} : { bakeMs: requireBake(bake, 'BH401') }),
    ...(why === undefined ? {} : { why: requireWhy(why, 'BH401') }),
    ...(flags.has('force') ? { force: true } : {}),
  };
}

function readWhy({ texts }: VerbCall): string | undefined {
  const why = texts.get('why');
  return why === undefined ? undefined : requireWhy(why, 'BH401');
}

async function asked(world: World, ask: () => Promise<string>): Promise<string> {
  const agent = await world.passwordAgent();
  try {
    return await ask();
  } finally {
    agent.release();
  }
}

/** Whether to follow it. */
function readWaiting({ flags }: VerbCall): boolean {
  if (flags.has('wait') && flags.has('no-wait')) throw new Failure('BH401', "'--wait' and '--no-wait' contradict");
  return !flags.has('no-wait');
}

function printId(id: string, { flags }: VerbCall, world: World): 0 {
  if (flags.has('json')) printJson(world, { id });
  else world.out.write(`${id}\n`);
  return 0;
}

async function follow(
  manager: Manager,
  plugin: string,
  id: string,
  { flags }: VerbCall,
  world: World,
): Promise<UpgradeOutcomeStatus | 'detached'> {
  const json = flags.has('json');
  const progress = new UpgradeProgress(plugin, world.err);
  const watcher = json ? jsonWatcher(world, flags.has('wait')) : progress;
  const { clock } = world;
  const outcome = await followUpgrade({ manager, clock, plugin, id, interrupted: world.interrupted() }, watcher);
  progress.clear();
  if (outcome === 'detached')
    world.err.write(`bulkheadctl: ${id} goes on; "bulkheadctl upgrade ${plugin}" shows it again\n`);
  else if (json) world.out.write(`${JSON.stringify(outcome)}\n`);
  else world.out.write(renderOutcome(plugin, outcome, world.out.colour));
  return outcome;
}

function jsonWatcher(world: World, each: boolean): UpgradeWatcher {
  let said = '';
  return {
    seen: (upgrade) => {
      const change = changeOf(upgrade);
      if (each && change !== said) world.out.write(`${JSON.stringify(upgrade)}\n`);
      said = change;
    },
    away: () => {},
  };
}

const STATUS: Readonly<Record<UpgradeOutcomeStatus['outcome'], ExitStatus>> = {
  promoted: 0,
  'rolled-back': 6,
  refused: 7,
  aborted: 1,
};
