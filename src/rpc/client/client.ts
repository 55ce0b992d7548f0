import { PluginClient } from './plugin-client.ts';
import { type ConnectOptions, settingsOf } from './settings.ts';

export { CallError } from './call-error.ts';
export type { CallOptions, StreamOptions } from './call-rules.ts';
export type { BreakerEvent, CallEvent, DiscoveryEvent } from './channels.ts';
export type { CrashToken, SandboxFacts } from './discovery-message.ts';
export type { SandboxStatistics, Statistics } from './statistics.ts';
export type { ConnectOptions, PluginClient };

/**
 * A client of a plugin: `bulkhead/client`, docs/calling.md. It begins to connect; calls may be made at once.
 *
 * @param plugin its name
 * @throws TypeError or RangeError for options that are none
 */
export function connect(plugin: string, options: ConnectOptions = {}): PluginClient {
  return new PluginClient(settingsOf(plugin, options));
}
