import { EventFeed } from '../event-feed.ts';
import { renderEvent } from '../render/event-line.ts';
import { JSON_OPTION, OPTIONAL_PLUGIN, type Verb, type VerbCall, type World } from '../verb.ts';

export const EVENTS: Verb = {
  name: 'events',
  summary: 'show what happened, or what happens',
  help: [
    'Shows the events that the supervisor still remembers (the last 1000 of all plugins), oldest first. The journal keeps them longer; see "bulkheadctl logs".',
    'With --follow it goes on until interrupted, through restarts of the supervisor and of the D-Bus daemon. With --json each event is one object on a line of its own.',
  ],
  arguments: [OPTIONAL_PLUGIN],
  options: [
    { name: 'follow', short: 'f', kind: 'flag', summary: 'go on with new events as they happen' },
    { name: 'since', kind: 'count', label: 'NUMBER', summary: 'only events with a greater number' },
    JSON_OPTION,
  ],
  supervisor: 'needed',
  run,
};

async function run(call: VerbCall, world: World): Promise<0> {
  const manager = await world.manager();
  const [plugin] = call.arguments;
  let printed = 0;
  const feed = new EventFeed(manager, call.counts.get('since') ?? 0, {
    event: (record) => {
      if (plugin !== undefined && record.plugin !== plugin) return;
      printed++;
      world.out.write(call.flags.has('json') ? `${JSON.stringify(record)}\n` : renderEvent(record, world.out.colour));
    },
    missed: (count) => world.err.write(`bulkheadctl: ${count} older events are not remembered any more\n`),
    lost: () => world.err.write('bulkheadctl: the supervisor is away, waiting for it\n'),
    back: () => world.err.write('bulkheadctl: the supervisor is back\n'),
  });
  try {
    if (call.flags.has('follow')) {
      await feed.follow();
      await Promise.race([world.interrupted(), feed.failed]);
      return 0;
    }
    await feed.catchUp();
  } finally {
    feed.release();
  }
  // No event and no such plugin: most likely a typing error, so let the supervisor say BH404.
  if (plugin !== undefined && printed === 0) await manager.status(plugin);
  return 0;
}
