import { FIRST_FRAME_LIMIT, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT, MOST_WINDOW } from '../wire/limits.ts';
import { Activity } from './activity.ts';
import { Checkpoint, type CheckpointOptions } from './checkpoint.ts';
import { Journal } from './journal.ts';
import { clearPath, listenWhere } from './listen-where.ts';
import { type Method, Methods, type Registered, type StreamMethod } from './methods.ts';
import { SDK } from './sdk-version.ts';
import { Server } from './server.ts';
import { tellAlive, tellManager, watchdogMs } from './service-manager.ts';

const WINDOW = 64;
/** A socket that was made by hand is its maker's alone. */
const SOCKET_UMASK = 0o177;

export interface PluginOptions {
  /** Calls at a time of one connection, 1 to 1024; default 64. */
  readonly window?: number;
  /** Bytes of a message that is taken, 64 KiB to 64 MiB; default 4 MiB. */
  readonly frameLimit?: number;
}

/** A plugin: methods that a main service calls, and what has to be done around them in a sandbox of bulkhead. */
export class Plugin {
  readonly #methods = new Methods();
  readonly #onDrain: (() => unknown)[] = [];
  readonly #server: Server;
  readonly #activity: Activity;
  readonly #environment: NodeJS.ProcessEnv = { ...process.env };
  #journal: Promise<Journal> | undefined;
  #serving = false;

  /** @throws RangeError for an option that is out of range. */
  constructor(options: PluginOptions = {}) {
    const { window = WINDOW, frameLimit = FIRST_FRAME_LIMIT } = options;
    checkRange('window', window, 1, MOST_WINDOW);
    checkRange('frameLimit', frameLimit, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT);
    const { BULKHEAD_PLUGIN, BULKHEAD_VERSION, BULKHEAD_SANDBOX, BULKHEAD_ACTIVITY } = this.#environment;
    this.#activity = new Activity(BULKHEAD_ACTIVITY);
    this.#server = new Server({
      methods: this.#methods,
      activity: this.#activity,
      window,
      facts: {
        frame: frameLimit,
        plugin: BULKHEAD_PLUGIN ?? null,
        version: BULKHEAD_VERSION ?? null,
        sandbox: BULKHEAD_SANDBOX ?? null,
        sdk: SDK,
      },
    });
  }

  /** A method with one result. @throws RangeError for a name that is none, or taken. */
  method(name: string, run: Method): this {
    this.#methods.add(name, { kind: 'method', run } as Registered);
    return this;
  }

  /** A method that answers in parts. @throws RangeError for a name that is none, or taken. */
  stream(name: string, run: StreamMethod): this {
    this.#methods.add(name, { kind: 'stream', run } as Registered);
    return this;
  }

  /** Called when the plugin is told to stop, while it still serves; what it returns is waited for before serve() returns. */
  onDrain(run: () => unknown): this {
    this.#onDrain.push(run);
    return this;
  }

  /** State that outlives the process. @throws RangeError for a name or schema that is none. */
  checkpoint(name: string, options?: CheckpointOptions): Checkpoint {
    return new Checkpoint(this.#environment, name, options);
  }

  /** What was accepted and is not finished; the same one each time. @throws Error when none can be kept. */
  journal(): Promise<Journal> {
    this.#journal ??= Journal.open(this.#environment);
    return this.#journal;
  }

  /** A line of the flight record that belongs to no call; at most 208 bytes are kept. */
  note(text: string): void {
    this.#activity.line('note', text, undefined);
  }

  audit(text: string): void {
    this.#activity.line('audit', text, undefined);
  }

  /**
   * Serves until SIGTERM has come and all connections have ended. What keeps the process alive besides is the
   * program's to end.
   * @throws Error when it cannot serve.
   */
  async serve(): Promise<void> {
    if (this.#serving) throw new Error('the plugin serves already');
    this.#serving = true;
    const where = listenWhere(this.#environment, process.argv[1]);
    for (const name of ['LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PID']) delete process.env[name];
    // Before anybody can connect: whoever does may want it to stop at once.
    const told = this.#untilToldToStop('path' in where);
    if ('path' in where) await this.#listenAt(where.path);
    else await this.#server.listen(where);
    this.#activity.start();
    tellManager('READY=1', this.#environment);
    const alive = this.#keepTelling();
    if ('path' in where && this.#environment.BULKHEAD_SANDBOX === undefined) this.#sayHello(where.path);
    await told;
    tellManager('STOPPING=1', this.#environment);
    const [hooks] = await Promise.all([
      Promise.allSettled(this.#onDrain.map(async (run) => await run())),
      this.#server.drain(),
    ]);
    this.#activity.stop();
    clearInterval(alive);
    const failed = hooks.filter((each) => each.status === 'rejected').map(({ reason }) => reason as unknown);
    if (failed.length > 0) throw new AggregateError(failed, 'a function of onDrain failed');
  }

  async #listenAt(path: string): Promise<void> {
    await clearPath(path);
    const before = process.umask(SOCKET_UMASK);
    try {
      // bind(2) is done when this returns, and the umask counts for nothing else.
      const listening = this.#server.listen({ path });
      process.umask(before);
      await listening;
    } finally {
      process.umask(before);
    }
  }

  /** Once; SIGTERM that comes again changes nothing. Ctrl-C by hand is the same, and the second time the end. */
  #untilToldToStop(byHand: boolean): Promise<void> {
    return new Promise((resolve) => {
      process.on('SIGTERM', () => resolve());
      if (!byHand) return;
      let asked = false;
      process.on('SIGINT', () => {
        if (asked) process.exit(130);
        asked = true;
        resolve();
      });
    });
  }

  /** That the loop turns, for a declaration that asks for it. */
  #keepTelling(): NodeJS.Timeout | undefined {
    const every = watchdogMs(this.#environment);
    if (every === undefined) return undefined;
    tellAlive(this.#environment);
    return setInterval(() => tellAlive(this.#environment), every).unref();
  }

  #sayHello(path: string): void {
    const [first = 'METHOD'] = this.#methods.names;
    process.stderr.write(
      `bulkhead: serves ${this.#methods.names.join(', ') || 'nothing yet'} at ${path}, by hand; ` +
        `try: bulkheadctl call ${path} ${first} …\n`,
    );
  }
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new RangeError(`'${name}' is ${value}, and is to be an integer from ${least} to ${most}`);
}
