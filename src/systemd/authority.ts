import { asFailure, Failure } from '../base/failure.ts';
import type { Bus } from './bus.ts';
import { DBUS_NAME, DBUS_PATH } from './signal-router.ts';
import { Variant } from './wire.ts';

const POLKIT = {
  destination: 'org.freedesktop.PolicyKit1',
  path: '/org/freedesktop/PolicyKit1/Authority',
  interface: 'org.freedesktop.PolicyKit1.Authority',
} as const;

/** CheckAuthorizationFlags of polkit: the user may be asked for a password. */
const ALLOW_USER_INTERACTION = 1;

/** polkitd may have to be started first (a quarter of a second), but evaluates rules only. */
const TIMEOUT_MS = 10_000;
/** A person types a password. */
const INTERACTIVE_TIMEOUT_MS = 120_000;

/** Who is at the other end of a connection to the bus, as the bus daemon saw it at its connect(2). */
export interface Credentials {
  readonly uid: number;
  readonly pid: number | undefined;
}

/** @throws Failure BH403 when the caller has gone. */
export async function credentialsOf(bus: Bus, sender: string): Promise<Credentials> {
  const call = { destination: DBUS_NAME, path: DBUS_PATH, interface: DBUS_NAME, member: 'GetConnectionCredentials' };
  let answer: unknown[];
  try {
    answer = await bus.call({ ...call, signature: 's', body: [sender] }, { timeoutMs: TIMEOUT_MS });
  } catch (thrown) {
    const { message } = asFailure(thrown);
    throw new Failure('BH403', `it is not known who asks: ${message}`, { cause: thrown });
  }
  const fields = answer[0] as Readonly<Record<string, Variant | undefined>>;
  const uid = fields.UnixUserID?.value;
  const pid = fields.ProcessID?.value;
  if (typeof uid !== 'number') throw new Failure('BH403', 'it is not known who asks: the bus gives no user id');
  return { uid, pid: typeof pid === 'number' ? pid : undefined };
}

export interface Question {
  readonly sender: string;
  /** polkit's action id, say `org.bulkhead.manage`. */
  readonly action: string;
  /** Shown to polkit's rules (`action.lookup("plugin")`) and in its dialogs. */
  readonly details: Readonly<Record<string, string>>;
  /** The caller can answer a password dialog. */
  readonly interactive: boolean;
}

/**
 * Returns when the sender may do this: root always, anybody else as polkit says; without polkit nobody else.
 * @throws Failure BH403 with the reason.
 */
export async function authorize(bus: Bus, question: Question): Promise<void> {
  const { sender, action, details, interactive } = question;
  const { uid } = await credentialsOf(bus, sender);
  if (uid === 0) return;
  const subject = ['system-bus-name', { name: new Variant('s', sender) }];
  const flags = interactive ? ALLOW_USER_INTERACTION : 0;
  let answer: unknown[];
  try {
    answer = await bus.call(
      {
        ...POLKIT,
        member: 'CheckAuthorization',
        signature: '(sa{sv})sa{ss}us',
        body: [subject, action, details, flags, ''],
      },
      { timeoutMs: interactive ? INTERACTIVE_TIMEOUT_MS : TIMEOUT_MS },
    );
  } catch (thrown) {
    const reason = `polkit cannot be asked (${asFailure(thrown).message}), so only root may do this`;
    throw new Failure('BH403', `'${action}' for user ${uid}: ${reason}`, { cause: thrown });
  }
  const [authorized, challenge] = answer[0] as readonly [boolean, boolean, unknown];
  if (authorized === true) return;
  if (challenge === true) {
    throw new Failure('BH403', `'${action}' for user ${uid}: a password is needed, and nobody can be asked for it`, {
      advice: 'run it from a session with a polkit agent, as root, or allow the action by a polkit rule',
    });
  }
  throw new Failure('BH403', `'${action}' for user ${uid}: polkit does not allow it`);
}
