import { sendDatagram } from './addon.ts';

/**
 * Tells bulkhead that the plugin is ready, or about to stop: sd_notify(3). Without $NOTIFY_SOCKET nobody wants to know.
 * @throws Error when it cannot be told: a plugin whose readiness nobody hears of would be ended for it.
 */
export function tellManager(state: 'READY=1' | 'STOPPING=1', environment: NodeJS.ProcessEnv): void {
  const socket = environment.NOTIFY_SOCKET;
  if (socket === undefined || socket === '') return;
  try {
    sendDatagram(socket, `${state}\n`);
  } catch (error) {
    throw new Error(`bulkhead cannot be told ${state}: ${error instanceof Error ? error.message : error}`);
  }
}
