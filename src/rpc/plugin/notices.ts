import type { Notification } from '../wire/message.ts';
import type { RunningCall } from './call.ts';
import type { Registered } from './methods.ts';
import { PluginError } from './plugin-error.ts';
import { dropParts } from './stream-run.ts';

export interface NoticesHost {
  /** Notifications that are worked on at a time. */
  readonly window: number;
  newCall(method: string): RunningCall;
  /** A method threw, and there is nobody else to tell. */
  threw(method: string, error: unknown): void;
  /** One more has ended. */
  ended(): void;
}

interface Notice {
  readonly notification: Notification;
  readonly registered: Registered;
}

/**
 * Notifications of one connection: methods that nobody waits for, and which go on when the connection has ended. Those that
 * are too many wait, and nothing is read meanwhile: there is no answer to refuse them by.
 */
export class Notices {
  readonly #host: NoticesHost;
  readonly #waiting: Notice[] = [];
  #running = 0;

  constructor(host: NoticesHost) {
    this.#host = host;
  }

  /** Those that are worked on. */
  get running(): number {
    return this.#running;
  }

  /** Whether some wait, so that no more should be read. */
  get areWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  take(notification: Notification, registered: Registered): void {
    const notice = { notification, registered };
    if (this.areWaiting || this.#running >= this.#host.window) this.#waiting.push(notice);
    else void this.#run(notice);
  }

  async #run({ notification, registered }: Notice): Promise<void> {
    const { method, params } = notification;
    const call = this.#host.newCall(method);
    this.#running += 1;
    let well = false;
    try {
      if (registered.kind === 'method') await registered.run(call, ...params);
      else await dropParts(registered.run(call, ...params), call);
      well = true;
    } catch (error) {
      if (!(error instanceof PluginError)) this.#host.threw(method, error);
    }
    call.finish(well);
    this.#running -= 1;
    const next = this.#waiting.shift();
    if (next !== undefined) void this.#run(next);
    this.#host.ended();
  }
}
