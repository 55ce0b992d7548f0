import type { PluginState, PluginSummary } from '../api.ts';
import type { ExitStatus } from '../exit-status.ts';
import type { Manager } from '../manager.ts';
import { paint } from '../render/colour.ts';
import { renderList } from '../render/list-view.ts';
import { renderStatus } from '../render/status-view.ts';
import { JSON_OPTION, OPTIONAL_PLUGIN, printJson, type Verb, type World } from '../verb.ts';
import { safeModeLine } from './safe-mode.ts';

export const STATUS: Verb = {
  name: 'status',
  summary: 'show one plugin in detail, or the supervisor and all plugins',
  help: [
    'For a plugin: its state and reason, declaration, units, listeners, restarts, and a table of its sandboxes with unit, host pid of the payload, range of user ids, memory, tasks, time since ready, and seccomp filter. Text that the plugin chose itself is shown with control characters escaped.',
    'Without NAME: the version of the supervisor, and all plugins. The exit status is then 0 as long as the supervisor answers.',
  ],
  arguments: [OPTIONAL_PLUGIN],
  options: [JSON_OPTION],
  supervisor: 'needed',
  async run(call, world) {
    const manager = await world.manager();
    const [name] = call.arguments;
    if (name === undefined) return statusOfAll(manager, call.flags.has('json'), world);
    const status = await manager.status(name);
    if (call.flags.has('json')) printJson(world, status);
    else world.out.write(`${warning(world)}${renderStatus(status, world.out)}`);
    return exitStatusFor(status.state);
  },
};

/** 0 while requests are served, else 3, as `systemctl status` has it. */
export function exitStatusFor(state: PluginState): ExitStatus {
  return state === 'running' || state === 'degraded' ? 0 : 3;
}

async function statusOfAll(manager: Manager, json: boolean, world: World): Promise<ExitStatus> {
  const version = await manager.version();
  const plugins = await manager.list();
  if (json) printJson(world, { version, safeMode: world.safeMode.reason() ?? null, plugins });
  else
    world.out.write(
      `${warning(world)}bulkheadd ${version}: ${countStates(plugins)}\n\n${renderList(plugins, world.out)}`,
    );
  return 0;
}

function warning(world: World): string {
  const reason = world.safeMode.reason();
  return reason === undefined ? '' : `${paint(safeModeLine(reason), 'bad', world.out.colour)}\n\n`;
}

function countStates(plugins: readonly PluginSummary[]): string {
  const counts = new Map<PluginState, number>();
  for (const { state } of plugins) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  return parts.length === 0 ? 'no plugins' : parts.join(', ');
}
