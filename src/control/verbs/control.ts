import { asFailure, Failure } from '../../base/failure.ts';
import { escapeText } from '../../base/printable.ts';
import { EventFeed } from '../event-feed.ts';
import type { ControlVerb, Manager } from '../manager.ts';
import { Progress } from '../progress.ts';
import { paint } from '../render/colour.ts';
import { PLUGIN_LOOK } from '../render/state.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb, type VerbCall, type World } from '../verb.ts';

const PRIVILEGE =
  'Needs the polkit action org.bulkhead.manage, which asks for an administrator unless the caller is root.';
const PROGRESS =
  'Waits until the job is done and shows on standard error what happens meanwhile. Ending bulkheadctl does not end the job.';

export const START = controlVerb('start', 'start a plugin and wait until it is ready', [
  'Starts plugin@NAME.service through systemd; the same as "systemctl start plugin@NAME", with progress and reasons.',
]);
export const STOP = controlVerb('stop', 'stop a plugin', [
  'Stops plugin@NAME.service and all sandboxes of the plugin.',
]);
export const RESTART = controlVerb('restart', 'stop and start a plugin', [
  'Restarts plugin@NAME.service. This also starts a plugin that has failed, with a new restart budget.',
]);

function controlVerb(name: ControlVerb, summary: string, help: readonly string[]): Verb {
  return {
    name,
    summary,
    help: [...help, PROGRESS, PRIVILEGE],
    arguments: [PLUGIN],
    options: [JSON_OPTION],
    supervisor: 'needed',
    run: (call, world) => run(name, call, world),
  };
}

async function run(verb: ControlVerb, call: VerbCall, world: World): Promise<0> {
  const name = call.arguments[0] ?? '';
  const manager = await world.manager();
  await perform(manager, name, verb, world);
  const status = await manager.status(name);
  if (call.flags.has('json')) {
    printJson(world, status);
  } else {
    const { dot, style } = PLUGIN_LOOK[status.state];
    world.out.write(`${paint(dot, style, world.out.colour)} ${name}: ${status.state}, ${escapeText(status.line)}\n`);
  }
  return 0;
}

async function perform(manager: Manager, name: string, verb: ControlVerb, world: World): Promise<void> {
  const progress = new Progress(`${verb} ${name}`, world.err, world.clock);
  const feed = new EventFeed(manager, await manager.lastEvent(), {
    event: (record) => {
      if (record.plugin === name) progress.tell(record);
    },
    missed: () => {},
    lost: () => progress.note('the supervisor is away'),
    back: () => progress.note('the supervisor is back'),
  });
  const agent = await world.passwordAgent();
  try {
    await feed.follow();
    await manager.control(name, verb);
    await feed.catchUp();
  } catch (thrown) {
    throw explained(asFailure(thrown), name);
  } finally {
    agent.release();
    feed.release();
    progress.release();
  }
}

/** A connection lost or a call timed out says nothing about the job itself. */
function explained(failure: Failure, name: string): Failure {
  if (failure.code !== 'BH501' && failure.code !== 'BH502') return failure;
  return new Failure(failure.code, `${failure.message}; the job may go on`, {
    advice: `see "bulkheadctl status ${name}"`,
    cause: failure,
  });
}
