/**
 * The one catalogue of errors. A code is stable for ever: it is never renumbered, and a retired one is
 * never reused. Scripts match codes; people read the summary and the advice.
 *
 * Ranges: BH1xx declaration, BH2xx plan and host, BH3xx sandbox, BH4xx control (CLI, D-Bus API),
 * BH5xx connection to systemd and D-Bus, BH6xx kernel and native parts.
 */
export const FAILURES = {
  BH101: { summary: 'the declaration is not valid YAML', advice: 'correct the syntax at the place named' },
  BH102: { summary: 'unknown key', advice: 'remove it, or use the key suggested; bulkhead-plugin(5) lists all keys' },
  BH103: { summary: 'wrong type of value', advice: 'give a value of the type named' },
  BH104: { summary: 'value not allowed', advice: 'give one of the values, or a value in the range, named' },
  BH105: { summary: 'a required key is missing', advice: 'add it here or in a template' },
  BH106: {
    summary: 'unknown template',
    advice: 'name a template from /etc/bulkhead/templates or /usr/lib/bulkhead/templates',
  },
  BH107: { summary: 'templates extend each other in a circle', advice: 'break the circle' },
  BH108: { summary: 'no declaration for this plugin', advice: 'write /etc/bulkhead/plugins/NAME.yaml' },
  BH109: {
    summary: 'not a plugin name',
    advice: 'use 1 to 48 of a-z, 0-9, "-", "_" and "."; begin and end with a letter or digit',
  },
  BH110: { summary: 'settings contradict each other', advice: 'change one of the places named' },
  BH111: { summary: 'the same key is given twice', advice: 'keep one of them' },
  BH112: { summary: 'the declaration is too large', advice: 'stay below the size named' },
  BH113: { summary: 'the declaration cannot be read', advice: 'check the file and its permissions' },
  BH120: {
    summary: 'a version says what is not for it to say',
    advice: "move the key from the version's plugin.yaml to the declaration or a template",
  },

  BH201: {
    summary: 'the version is not installed',
    advice: 'install it below /opt/plugin/NAME, or name another version',
  },
  BH202: { summary: 'the program is not there', advice: 'check exec and the version directory' },
  BH203: { summary: 'the host lacks something the plan needs', advice: 'run "bulkheadctl doctor"' },
  BH204: { summary: 'the root directory is not usable', advice: 'check view.root' },
  BH205: {
    summary: 'the seccomp profile does not exist',
    advice: 'name a profile from /etc/bulkhead/seccomp or /usr/lib/bulkhead/seccomp',
  },
  BH206: { summary: 'the address is taken', advice: 'change listen, or stop the program that holds the address' },
  BH207: { summary: 'the address cannot be bound', advice: 'check the address, its permissions and its directory' },
  BH208: { summary: 'the device cannot be given to a sandbox', advice: 'check devices, and the modes of the nodes' },
  BH210: {
    summary: 'the record of what is live is damaged',
    advice: 'remove the file named: then the version of the declaration is live',
  },
  BH211: {
    summary: 'the record of a version is damaged',
    advice: 'nobody can say whether the version is what was installed; remove it and install it again',
  },
  BH212: {
    summary: 'the version is not what was installed',
    advice: 'nothing of it was run; find out who changed it, then remove it and install it again',
  },
  BH213: { summary: 'the version cannot be checked', advice: 'nothing of it was run; see the reason, then try again' },
  BH214: {
    summary: 'the version was not installed by bulkhead',
    advice: 'install it with "bulkheadctl install", or allow such versions in bulkhead.yaml: versions.unrecorded',
  },
  BH220: {
    summary: 'connections cannot be shared out as asked',
    advice: 'see the address named; "systemctl restart plugin@NAME" makes its sockets anew',
  },

  BH301: { summary: 'the sandbox did not start', advice: 'see "bulkheadctl logs NAME" and the journal of the unit' },
  BH302: { summary: 'the sandbox could not be set up as declared', advice: 'nothing was run; correct the step named' },
  BH303: {
    summary: 'the plugin did not become ready in time',
    advice: 'raise health.start-timeout, or see why it is slow',
  },
  BH304: { summary: 'the plugin keeps dying', advice: 'correct the cause, then "systemctl restart plugin@NAME"' },
  BH305: {
    summary: 'the payload could not be executed',
    advice: 'check that the file exists, is executable, and that its interpreter is visible in the sandbox',
  },
  BH306: { summary: 'no unused range of user ids is left', advice: 'stop some plugins; each sandbox needs 65536 ids' },
  BH307: {
    summary: 'the sandbox does not go away',
    advice: 'a task of it cannot be killed; see its unit and /proc/PID/stack',
  },
  BH308: { summary: 'the spawner does not serve', advice: 'see "systemctl status bulkhead-spawner"' },
  BH309: { summary: 'a credential cannot be had', advice: 'nothing was run; check the file named' },
  BH310: { summary: 'the state directory cannot be had', advice: 'nothing was run; check the directory named' },
  BH311: { summary: 'the image cannot be had', advice: 'nothing was run; check the file named' },
  BH312: {
    summary: 'the plugin cannot be learned from',
    advice: 'it has to run, and one run at a time; see "bulkheadctl status NAME"',
  },
  BH313: { summary: 'the activity page cannot be made', advice: 'nothing was run; see the mounts below /run/bulkhead' },
  BH314: { summary: 'a sandbox was found ill', advice: 'see "bulkheadctl why NAME"' },
  BH315: { summary: 'the startup probe failed', advice: 'see why the program does not answer as health.startup asks' },
  BH316: {
    summary: 'the socket for calls cannot be made',
    advice: 'nothing was run; check rpc, and the directories below /run/bulkhead/rpc',
  },
  BH317: {
    summary: 'the socket of discovery cannot be made',
    advice: 'clients cannot be told which sandboxes there are; check rpc, and /run/bulkhead/discovery',
  },
  BH318: {
    summary: 'the program of a stdio plugin keeps ending',
    advice: 'its output before that is in the journal; "bulkheadctl why NAME" has the last death',
  },
  BH319: {
    summary: 'the program of a stdio plugin does not speak its protocol',
    advice: "let nothing but messages go to its standard output, or set 'stdio.protocol'",
  },
  BH320: { summary: 'the new side did not get ready', advice: 'the old one serves; see "bulkheadctl why NAME"' },
  BH321: { summary: 'the new side failed', advice: 'the old one serves; see "bulkheadctl why NAME"' },
  BH322: { summary: 'the new side was judged worse', advice: 'the old one serves; see "bulkheadctl why NAME"' },
  BH323: {
    summary: 'there was not enough traffic to judge the new side',
    advice: 'the old one serves; see upgrade.judge.samples and upgrade.judge.few',
  },
  BH324: { summary: 'it was rolled back by hand', advice: 'none: what was live before serves' },
  BH325: { summary: 'the plugin was stopped before the upgrade was over', advice: 'what was live before is started' },
  BH326: { summary: 'a step of the upgrade could not be done', advice: 'the old side serves; see the reason given' },
  BH328: {
    summary: 'the plugin cannot be upgraded now',
    advice: 'it has to run, and not to be on its way to another state; see "bulkheadctl status NAME"',
  },
  BH330: {
    summary: 'the metrics of the program cannot be read',
    advice: 'it is judged without them; see upgrade.judge.metrics',
  },
  BH340: {
    summary: 'the version cannot be put in its place',
    advice: 'sandboxes see what they saw before; check the directory named, and the mounts below /run/bulkhead/slot',
  },

  BH401: { summary: 'usage', advice: 'see "bulkheadctl --help"' },
  BH402: { summary: 'the supervisor does not answer', advice: 'see "systemctl status bulkheadd"' },
  BH403: { summary: 'not authorised', advice: 'ask an administrator, or allow the action named by a polkit rule' },
  BH404: { summary: 'no such plugin', advice: '"bulkheadctl list" names the declared plugins' },
  BH405: { summary: 'not a valid request', advice: 'see the introspection of org.bulkhead.Manager1' },
  BH406: {
    summary: 'the request failed in the supervisor',
    advice: 'this is a defect; the journal of bulkheadd has the details',
  },
  BH407: { summary: 'something does not hold', advice: 'see the lines above' },
  BH408: { summary: 'no such incident', advice: '"bulkheadctl incidents list" names those that are kept' },
  BH409: { summary: 'the plugin is not in quarantine', advice: 'see "bulkheadctl status NAME"' },
  BH410: { summary: 'nothing of the plugin runs', advice: 'start it: "bulkheadctl start NAME"' },
  BH411: { summary: 'safe mode is on, no plugin starts', advice: 'turn it off: "bulkheadctl safe-mode off"' },
  BH420: { summary: 'no version can be made of the source', advice: 'nothing was installed; correct what is named' },
  BH421: {
    summary: 'the version is there with other content',
    advice: 'a version never changes: give the new content another name',
  },
  BH422: { summary: 'the version is needed', advice: 'upgrade to another one first; see "bulkheadctl versions NAME"' },
  BH423: { summary: 'no such version', advice: '"bulkheadctl versions NAME" lists those that are installed' },
  BH424: { summary: 'the versions cannot be changed now', advice: 'see the reason, then try again' },
  BH425: {
    summary: 'a change of version is under way',
    advice: 'wait for it, or undo it: "bulkheadctl rollback NAME"',
  },
  BH426: { summary: 'the version is live already', advice: 'nothing is to be done' },
  BH427: { summary: 'there is no version to go back to', advice: 'upgrade to one: "bulkheadctl upgrade NAME VERSION"' },
  BH428: {
    summary: 'the version failed before',
    advice: 'see "bulkheadctl why NAME"; "bulkheadctl upgrade NAME VERSION --force" tries it again',
  },
  BH429: { summary: 'no change of version is known', advice: 'see "bulkheadctl status NAME"' },
  BH430: { summary: 'the check before the upgrade said no', advice: 'see what upgrade.check names, and its output' },
  BH431: {
    summary: 'there is no room in memory for a second side',
    advice: 'lower upgrade.surge or limits.memory, or free memory',
  },
  BH433: { summary: 'the call failed', advice: 'see the reason given' },

  BH501: { summary: 'connection lost', advice: 'none: it is made again by itself' },
  BH502: { summary: 'no answer in time', advice: 'see whether systemd or the D-Bus daemon is overloaded' },
  BH503: { summary: 'the message cannot be encoded', advice: 'this is a defect' },
  BH504: { summary: 'systemd refused the request', advice: "the reason given is systemd's own" },
  BH505: { summary: 'systemd cannot be reached', advice: 'is systemd running as PID 1?' },
  BH506: { summary: 'a job of systemd failed', advice: 'see the journal of the unit' },
  BH507: { summary: 'too many requests at once', advice: 'wait for the earlier ones to end, then try again' },

  BH601: { summary: 'a system call failed', advice: 'the error number says why' },
  BH602: { summary: 'the native addon cannot be loaded', advice: 'reinstall the package' },
  BH603: { summary: 'the seccomp profile cannot be compiled', advice: 'correct the line named' },
  BH604: { summary: 'the state file is damaged', advice: 'it was set aside; what runs was read from systemd' },
  BH605: { summary: 'the node cannot be looked at', advice: 'see "journalctl -u bulkhead-node"' },
} as const satisfies Record<string, { readonly summary: string; readonly advice: string }>;

export type FailureCode = keyof typeof FAILURES;

/** What a failure may carry beside its code and words. */
export interface FailureDetails {
  /** What to do about it, when something more exact than the catalogue's advice is known. */
  readonly advice?: string;
  /** The D-Bus error name that the failure came from, say `org.freedesktop.systemd1.NoSuchUnit`. */
  readonly dbusName?: string;
  readonly cause?: unknown;
}

/** An error that is expected, named and explained. Anything else that is thrown is a defect. */
export class Failure extends Error {
  readonly code: FailureCode;
  readonly advice: string;
  readonly dbusName: string | undefined;

  constructor(code: FailureCode, message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'Failure';
    this.code = code;
    this.advice = details.advice ?? FAILURES[code].advice;
    this.dbusName = details.dbusName;
  }

  /** One line for people: `BH404 no such plugin: 'x'`. */
  get line(): string {
    return `${this.code} ${FAILURES[this.code].summary}: ${this.message}`;
  }
}

/** Turns whatever was thrown into a Failure; a stranger becomes BH406 with its own text. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new Failure('BH406', text, { cause: thrown });
}
