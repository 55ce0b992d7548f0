import type { PluginStatus } from '../api.ts';
import type { OrderVerb } from '../manager.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb } from '../verb.ts';

export const RECYCLE = orderVerb('recycle', 'replace the sandboxes of a plugin, the new ones first', [
  'Starts a new sandbox for each one that runs, and stops that one gracefully when the new one is ready, one after the other. No request is lost. Returns when that has begun; "bulkheadctl events NAME --follow" shows how it goes on.',
]);
export const RELEASE = orderVerb('release', 'let a plugin out of quarantine, and start it', [
  'A plugin that all steps of its recovery did not help is kept from running. This starts it again, with a new restart budget and with its chains of recovery at their first step; so does "systemctl start plugin@NAME". Of a plugin that runs, it ends sandboxes that were kept frozen to be looked at. See "bulkheadctl why NAME" first.',
]);

function isRunning({ state }: PluginStatus): boolean {
  return state === 'running' || state === 'degraded';
}

function orderVerb(name: OrderVerb, summary: string, help: readonly string[]): Verb {
  return {
    name,
    summary,
    help: [
      ...help,
      'Needs the polkit action org.bulkhead.manage, which asks for an administrator unless the caller is root.',
    ],
    arguments: [PLUGIN],
    options: [JSON_OPTION],
    supervisor: 'needed',
    async run(call, world) {
      const [plugin = ''] = call.arguments;
      const manager = await world.manager();
      const agent = await world.passwordAgent();
      try {
        await manager.order(plugin, name);
        if (name === 'release' && !isRunning(await manager.status(plugin))) await manager.control(plugin, 'start');
      } finally {
        agent.release();
      }
      if (call.flags.has('json')) printJson(world, await manager.status(plugin));
      else world.out.write(`${plugin}: ${name === 'recycle' ? 'its sandboxes are being replaced' : 'released'}\n`);
      return 0;
    },
  };
}
