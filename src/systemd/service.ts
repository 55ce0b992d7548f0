import type { Clock, Owned } from '../base/clock.ts';
import { asFailure, Failure } from '../base/failure.ts';
import { Owner, owned } from '../base/owner.ts';
import { authorize, credentialsOf } from './authority.ts';
import type { Bus } from './bus.ts';
import { toErrorReply } from './service-error.ts';
import {
  type Argument,
  introspection,
  type ServiceInterface,
  type ServiceMethod,
  type ServiceObject,
  signatureOf,
} from './service-table.ts';
import { DBUS_NAME, DBUS_PATH } from './signal-router.ts';
import { FLAG, type Head, type Incoming, MESSAGE, plain, Variant } from './wire.ts';

/** Largest message that a service should accept; give it to the Bus as maxIncomingBytes. */
export const SERVICE_MAX_INCOMING_BYTES = 256 * 1024;

const INTROSPECTABLE = 'org.freedesktop.DBus.Introspectable';
const PEER = 'org.freedesktop.DBus.Peer';
const PROPERTIES = 'org.freedesktop.DBus.Properties';

const ERROR = 'org.freedesktop.DBus.Error.';

/** RequestName: do not wait in a queue behind another owner. */
const DO_NOT_QUEUE = 4;
const PRIMARY_OWNER = 1;
const ALREADY_OWNER = 4;

/** The name may be held by a supervisor that is about to end, or the bus has not read its policy yet. */
const NAME_RETRY_MS = 1000;

export interface ServiceOptions {
  /** A connection of its own, not started yet: the service starts and releases it. */
  readonly bus: Bus;
  /** Well-known name, say `org.bulkhead.Manager1`. */
  readonly name: string;
  readonly clock: Clock;
  /** Gets what a method threw that was no Failure, and why the name could not be had. */
  readonly onDefect: (thrown: unknown) => void;
  /** Calls that may be under way at once: of one sender (16), and in all (128). */
  readonly maxCallsPerSender?: number;
  readonly maxCalls?: number;
}

/**
 * Our own objects on the bus. Each call comes with its sender; arguments fit the table before a method sees them;
 * a caller that asks too much at once is refused; errors carry codes and advice, never a stack trace.
 */
export class Service implements Owned {
  readonly #options: ServiceOptions;
  readonly #bus: Bus;
  readonly #owner: Owner;
  readonly #objects = new Map<string, ServiceObject>();
  /** Calls under way by sender; a sender without any is not in it. */
  readonly #underWay = new Map<string, number>();
  #total = 0;
  #named = false;
  readonly #whenNamed = new Set<() => void>();

  constructor(options: ServiceOptions) {
    this.#options = options;
    this.#bus = options.bus;
    this.#owner = new Owner(`service ${options.name}`);
    this.#owner.own(this.#bus);
    this.#bus.onCall = (message) => this.#receive(message);
    this.#bus.onUp.add(() => void this.#requestName());
    this.#bus.onDown.add(() => {
      this.#named = false;
    });
  }

  /** The name is ours at present. */
  get named(): boolean {
    return this.#named;
  }

  /** Resolves when the name is ours, or after so many ms: the bus may be away for long, and is not waited for. */
  untilNamed(mostMs: number): Promise<void> {
    if (this.#named) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#whenNamed.delete(done);
        this.#owner.drop(timer);
        resolve();
      };
      const timer = this.#owner.own(this.#options.clock.after(mostMs, done));
      this.#whenNamed.add(done);
    });
  }

  /** Calls under way now. */
  get callsUnderWay(): number {
    return this.#total;
  }

  /** Offers an object until the result is released. @throws RangeError when the path is taken. */
  export(path: string, object: ServiceObject): Owned {
    if (this.#objects.has(path)) throw new RangeError(`there is an object at ${path} already`);
    this.#objects.set(path, object);
    return owned(() => this.#objects.delete(path));
  }

  /** Connects and takes the name, again after each loss. */
  start(): void {
    this.#bus.start();
  }

  release(): void {
    this.#owner.release();
    this.#objects.clear();
  }

  /** Sends a signal of the table. @throws RangeError when there is no such signal, Failure BH503 on wrong values. */
  emit(path: string, owner: string, signal: string, values: readonly unknown[]): void {
    const table = this.#objects.get(path)?.[owner]?.signals[signal];
    if (table === undefined) throw new RangeError(`no signal ${owner}.${signal} at ${path}`);
    const signature = signatureOf(table.arguments);
    this.#bus.send({ type: MESSAGE.signal, path, interface: owner, member: signal, signature, body: values });
  }

  /** Tells that properties have new values, each as its `emits` says. */
  propertiesChanged(path: string, owner: string, names: readonly string[]): void {
    const table = this.#objects.get(path)?.[owner];
    const changed: Record<string, Variant> = {};
    const invalidated: string[] = [];
    for (const name of names) {
      const property = table?.properties[name];
      if (property === undefined) throw new RangeError(`no property ${owner}.${name} at ${path}`);
      if (property.emits === 'true') changed[name] = new Variant(property.type, property.read());
      if (property.emits === 'invalidates') invalidated.push(name);
    }
    const body = [owner, changed, invalidated];
    const signal = { path, interface: PROPERTIES, member: 'PropertiesChanged', signature: 'sa{sv}as', body };
    this.#bus.send({ type: MESSAGE.signal, ...signal });
  }

  async #requestName(): Promise<void> {
    const { name } = this.#options;
    const call = { destination: DBUS_NAME, path: DBUS_PATH, interface: DBUS_NAME, member: 'RequestName' };
    try {
      const [result] = await this.#bus.call({ ...call, signature: 'su', body: [name, DO_NOT_QUEUE] });
      this.#named = result === PRIMARY_OWNER || result === ALREADY_OWNER;
      if (this.#named) {
        for (const done of [...this.#whenNamed]) done();
        return;
      }
      throw new Failure('BH504', `the name '${name}' belongs to another program`);
    } catch (thrown) {
      if (asFailure(thrown).code === 'BH501') return; // the next connection asks again
      this.#options.onDefect(thrown);
    }
    const retry = this.#owner.own(
      this.#options.clock.after(NAME_RETRY_MS, () => {
        this.#owner.drop(retry);
        if (this.#bus.up && !this.#named) void this.#requestName();
      }),
    );
  }

  #receive(message: Incoming): void {
    const { head } = message;
    const sender = head.sender ?? '';
    const { maxCalls = 128, maxCallsPerSender = 16 } = this.#options;
    const own = this.#underWay.get(sender) ?? 0;
    if (own >= maxCallsPerSender || this.#total >= maxCalls) {
      const whose = own >= maxCallsPerSender ? `${own} calls of yours` : `${this.#total} calls`;
      this.#bus.refuse(head, `${ERROR}LimitsExceeded`, `${whose} are under way; wait for them`);
      return;
    }
    this.#underWay.set(sender, own + 1);
    this.#total += 1;
    void this.#answer(message, sender).finally(() => {
      const left = (this.#underWay.get(sender) ?? 1) - 1;
      if (left === 0) this.#underWay.delete(sender);
      else this.#underWay.set(sender, left);
      this.#total -= 1;
    });
  }

  async #answer(message: Incoming, sender: string): Promise<void> {
    const { head } = message;
    const { epoch } = this.#bus;
    try {
      const [signature, body] = await this.#dispatch(message, sender, epoch);
      if ((head.flags & FLAG.noReplyExpected) !== 0 || this.#bus.epoch !== epoch) return;
      this.#bus.send({ type: MESSAGE.return, replySerial: head.serial, destination: sender, signature, body });
    } catch (thrown) {
      // Nobody is there to be told, or worse: somebody else has the caller's unique name.
      const refuse = (name: string, text: string) => {
        if (this.#bus.epoch === epoch) this.#bus.refuse(head, name, text);
      };
      if (thrown instanceof Refusal) {
        refuse(thrown.errorName, thrown.message);
        return;
      }
      // BH503: what the method returned does not fit the table.
      const defect = !(thrown instanceof Failure) || thrown.code === 'BH503';
      if (defect) this.#options.onDefect(thrown);
      const { name, text } = toErrorReply(defect ? undefined : thrown);
      refuse(name, text);
    }
  }

  async #dispatch(
    message: Incoming,
    sender: string,
    epoch: number,
  ): Promise<[signature: string, body: readonly unknown[]]> {
    const { head } = message;
    const path = head.path ?? '';
    const standard = this.#standard(head, path);
    const object = this.#objects.get(path);
    const method = standard ?? this.#find(object, head, path);
    const wanted = signatureOf(method.in);
    if (head.signature !== wanted) {
      throw new Refusal('InvalidArgs', `${head.member} takes ${describe(method.in)}, not '${head.signature}'`);
    }
    let args: unknown[];
    try {
      args = message.body().map(plain);
    } catch {
      throw new Refusal('InvalidArgs', `the arguments of ${head.member} cannot be decoded`);
    }
    const interactive = (head.flags & FLAG.allowInteractiveAuthorization) !== 0;
    const samePerson = <T>(ask: () => Promise<T>): Promise<T> => this.#inEpoch(epoch, ask);
    const body = await method.run({
      sender,
      path,
      arguments: args,
      credentials: () => samePerson(() => credentialsOf(this.#bus, sender)),
      authorize: (action, details = {}) =>
        samePerson(() => authorize(this.#bus, { sender, action, details, interactive })),
    });
    return [signatureOf(method.out), body];
  }

  /** Asks about a sender only over the connection on which the call came: on another its name is somebody else's. */
  async #inEpoch<T>(epoch: number, ask: () => Promise<T>): Promise<T> {
    const lost = () => new Failure('BH403', 'the connection over which it was asked is lost');
    if (this.#bus.epoch !== epoch) throw lost();
    const answer = await ask();
    if (this.#bus.epoch !== epoch) throw lost();
    return answer;
  }

  #find(object: ServiceObject | undefined, head: Head, path: string): ServiceMethod {
    if (object === undefined) throw new Refusal('UnknownObject', `there is no object at ${path}`);
    const member = head.member ?? '';
    const tables: readonly ServiceInterface[] =
      head.interface === undefined
        ? Object.values(object)
        : [own(object, head.interface)].filter((table) => table !== undefined);
    if (tables.length === 0) throw new Refusal('UnknownInterface', `${path} has no interface ${head.interface}`);
    for (const table of tables) {
      const method = own(table.methods, member);
      if (method !== undefined) return method;
    }
    throw new Refusal('UnknownMethod', `${head.interface ?? path} has no method ${member}`);
  }

  /** Methods that every object has, and the paths above objects too as far as it takes to find them. */
  #standard(head: Head, path: string): ServiceMethod | undefined {
    const object = this.#objects.get(path);
    const is = (owner: string, member: string) =>
      head.member === member && (head.interface === owner || head.interface === undefined);
    if (is(PEER, 'Ping')) return { doc: '', in: [], out: [], run: () => [] };
    if (is(INTROSPECTABLE, 'Introspect')) {
      const children = this.#children(path);
      if (object === undefined && children.length === 0) return undefined;
      return { doc: '', in: [], out: [STRING], run: () => [introspection(object, children)] };
    }
    if (object === undefined) return undefined;
    if (is(PROPERTIES, 'GetAll')) {
      return {
        doc: '',
        in: [STRING],
        out: [{ name: 'properties', type: 'a{sv}' }],
        run: ({ arguments: [owner] }) => [allProperties(object, String(owner))],
      };
    }
    if (is(PROPERTIES, 'Get')) {
      return {
        doc: '',
        in: [STRING, STRING],
        out: [VARIANT],
        run: ({ arguments: [owner, name] }) => [oneProperty(object, String(owner), String(name))],
      };
    }
    if (is(PROPERTIES, 'Set')) {
      return {
        doc: '',
        in: [STRING, STRING, VARIANT],
        out: [],
        run: ({ arguments: [owner, name] }) => {
          oneProperty(object, String(owner), String(name));
          throw new Refusal('PropertyReadOnly', `${name} cannot be set`);
        },
      };
    }
    return undefined;
  }

  #children(path: string): string[] {
    const prefix = path === '/' ? '/' : `${path}/`;
    const names = [...this.#objects.keys()].filter((other) => other !== path && other.startsWith(prefix));
    return [...new Set(names.map((other) => other.slice(prefix.length).split('/')[0] as string))];
  }
}

const STRING: Argument = { name: 'text', type: 's' };
const VARIANT: Argument = { name: 'value', type: 'v' };

/** An error of D-Bus itself, with one of its standard names. */
class Refusal extends Error {
  readonly errorName: string;

  constructor(name: string, message: string) {
    super(message);
    this.errorName = ERROR + name;
  }
}

function allProperties(object: ServiceObject, owner: string): Record<string, Variant> {
  // An empty name asks for the properties of all interfaces (D-Bus specification).
  const tables = owner === '' ? Object.values(object) : [own(object, owner)];
  const values: Record<string, Variant> = {};
  for (const table of tables) {
    if (table === undefined) throw new Refusal('UnknownInterface', `there is no interface ${owner}`);
    for (const [name, { type, read }] of Object.entries(table.properties)) values[name] = new Variant(type, read());
  }
  return values;
}

function oneProperty(object: ServiceObject, owner: string, name: string): Variant {
  const tables = owner === '' ? Object.values(object) : [own(object, owner)];
  for (const table of tables) {
    if (table === undefined) throw new Refusal('UnknownInterface', `there is no interface ${owner}`);
    const property = own(table.properties, name);
    if (property !== undefined) return new Variant(property.type, property.read());
  }
  throw new Refusal('UnknownProperty', `${owner} has no property ${name}`);
}

/** A member of a table by a name that a caller chose: `constructor` must not find anything. */
function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function describe(args: readonly Argument[]): string {
  if (args.length === 0) return 'no arguments';
  return `(${args.map(({ name, type }) => `${type} ${name}`).join(', ')})`;
}
