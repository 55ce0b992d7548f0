import { explain, FAILURE_CLASS_NAMES, type FailureClass } from '../base/failure-class.ts';

/** Entries of the journal about an incident, by its class. Random once; never changed, and never used again. */
const CLASS_MESSAGES: Readonly<Record<FailureClass, string>> = {
  'start-failed': '7337e2dfbae64e2cf1a50f26ddc48758',
  'not-ready': 'bd524a946fcb313e4da7df99dfa60f7c',
  exit: 'b866d5327ae2d4723827dd3a6397f475',
  crash: '27a0dfbdd73ef7cfefc054d4f97598ff',
  oom: '532bee4d6b2bfcced3fd517d75b38a04',
  'oom-host': 'cd0d732956ef621e79c986b2a009fced',
  'forbidden-syscall': 'd88bb38d85961c0fb1ad439d3d2dc854',
  'forbidden-exec': '357251faf04128bd87b77ff77cc04d68',
  hang: '32f026f9e815a84e2a16c08d67e52035',
  deadlock: '4dafc6f3e6b907f4b7b18b3c8b353135',
  spin: '51cc8b7c2577af14f6362a3f19b3e5b6',
  leak: '437895ca13e34b98b4d53ff5e0b68db0',
  'fork-bomb': '99436f2ce6abfec15d70935b16209b67',
  unresponsive: '731aff0e34afaccff111ccbd3ae5c705',
  'probe-failed': '769fcff67b65a711e6be485be349c335',
  dependency: '92acc10b20c437756aafc3d117464b68',
  unkillable: '7a1fbd0921dda7da0c51f13f7d3ec6ae',
  hardware: '509b35646bf3e9f18df876fe70b99bd2',
};

interface Message {
  readonly id: string;
  readonly subject: string;
  /** Fields of the entry stand between two at signs; no other at sign can be in it. */
  readonly body: string;
}

/** Entries that need to be explained without an incident, by the kind of what happened. */
const KIND_MESSAGES: Readonly<Record<string, Message>> = {
  failed: {
    id: 'dd0be8423cad88262a81cd14f2a67b9b',
    subject: 'Plugin @BULKHEAD_PLUGIN@ was given up',
    body: `It is not started again by itself. What it failed for, and what to do about it:
    bulkheadctl why @BULKHEAD_PLUGIN@
When the cause is corrected, it is started by:
    bulkheadctl restart @BULKHEAD_PLUGIN@`,
  },
  quarantined: {
    id: '2a35533a438f5bfd2162e8c5463468a9',
    subject: 'Plugin @BULKHEAD_PLUGIN@ is in quarantine',
    body: `All steps of its recovery were taken and did not help, so it is kept from running. The reason:
    bulkheadctl why @BULKHEAD_PLUGIN@
When the cause is corrected, it is let go by:
    bulkheadctl release @BULKHEAD_PLUGIN@`,
  },
  fenced: {
    id: '010bd3466ca0a28994a0522bdaf41db3',
    subject: 'Sandbox @BULKHEAD_UNIT@ cannot be killed',
    body: `A task of it does not end although it was killed: the kernel holds it. The sandbox is fenced off and replaced by
another one; it is cleared away when the kernel lets go. See what it waits for:
    bulkheadctl why @BULKHEAD_PLUGIN@`,
  },
  limit: {
    id: '7e1a233fc3120f31abf9c7bd2ed5e595',
    subject: 'Sandbox @BULKHEAD_UNIT@ has reached its limit @BULKHEAD_LIMIT@',
    body: `It goes on as far as the limit lets it. Limits, and how often they were reached:
    bulkheadctl status @BULKHEAD_PLUGIN@
A higher limit in the declaration holds as soon as the plugin's unit is reloaded.`,
  },
  declaration: {
    id: '5daa9c07c652cdff2a2b024cf9a976a7',
    subject: 'The declaration of plugin @BULKHEAD_PLUGIN@ cannot be used',
    body: `What runs of it goes on as it was declared before. All mistakes at once, with their places:
    bulkheadctl check @BULKHEAD_PLUGIN@`,
  },
  recovered: {
    id: 'fea7e925d3d12ef046a89a65b683472c',
    subject: 'Plugin @BULKHEAD_PLUGIN@ has recovered',
    body: `The incident is over. What happened, and what was done:
    bulkheadctl incidents show @BULKHEAD_INCIDENT@`,
  },
  upgrading: {
    id: '7a887c28aa93499d979c8ac28ee7dbec',
    subject: 'Plugin @BULKHEAD_PLUGIN@ changes to another version',
    body: `The change is @BULKHEAD_UPGRADE@. It is shown while it goes on by:
    bulkheadctl upgrade @BULKHEAD_PLUGIN@
It is undone by:
    bulkheadctl rollback @BULKHEAD_PLUGIN@`,
  },
  upgraded: {
    id: '69612ab1b09d44788b1445b67fc51e58',
    subject: 'Plugin @BULKHEAD_PLUGIN@ has changed to another version',
    body: `The change @BULKHEAD_UPGRADE@ is over, the new version is live. What served before comes back by:
    bulkheadctl rollback @BULKHEAD_PLUGIN@`,
  },
  'rolled-back': {
    id: '75b5b55e531b471d842c2c939c45acec',
    subject: 'A change of plugin @BULKHEAD_PLUGIN@ to another version was undone',
    body: `The change was @BULKHEAD_UPGRADE@. What served before it serves on. What the new version is not tried again for:
    bulkheadctl why @BULKHEAD_PLUGIN@
When the cause is corrected, it is tried again by:
    bulkheadctl upgrade @BULKHEAD_PLUGIN@ VERSION --force`,
  },
  'upgrade-refused': {
    id: '833052a40ed64eb388f96298484e4e92',
    subject: 'A change of plugin @BULKHEAD_PLUGIN@ to another version was refused',
    body: `Nothing was started for @BULKHEAD_UPGRADE@. The reason is in the text of the entry, and in:
    bulkheadctl status @BULKHEAD_PLUGIN@`,
  },
  'upgrade-aborted': {
    id: 'f3cc0455710140f19e2d375991d97423',
    subject: 'A change of plugin @BULKHEAD_PLUGIN@ to another version was given up',
    body: `The plugin was stopped, or failed, before @BULKHEAD_UPGRADE@ was over. What was live before is what starts next.`,
  },
};

/** MESSAGE_ID= of an entry; undefined for one that explains itself. */
export function messageId(kind: string, failure: FailureClass | undefined): string | undefined {
  if (kind === 'incident' && failure !== undefined) return CLASS_MESSAGES[failure];
  return KIND_MESSAGES[kind]?.id;
}

/** The text of bulkhead.catalog: what journalctl(1) shows with --catalog. */
export function catalogText(): string {
  const messages = [...FAILURE_CLASS_NAMES.map(classMessage), ...Object.values(KIND_MESSAGES)];
  const head = '# Explanations for journalctl --catalog; generated from the tables of classes and messages.\n';
  return [head, ...messages.map(entry)].join('\n');
}

function classMessage(name: FailureClass): Message {
  const { summary, advice } = explain(name, undefined, '@BULKHEAD_PLUGIN@');
  return {
    id: CLASS_MESSAGES[name],
    subject: `Plugin @BULKHEAD_PLUGIN@: ${summary}`,
    body: `Sandbox @BULKHEAD_UNIT@ of version @BULKHEAD_VERSION@ failed; class ${name}, kind @BULKHEAD_KIND@. What to do:
    ${advice}
Its evidence, and what was done about it:
    bulkheadctl incidents show @BULKHEAD_INCIDENT@`,
  };
}

function entry({ id, subject, body }: Message): string {
  return `-- ${id}\nSubject: ${subject}\nDefined-By: bulkhead\nDocumentation: man:bulkheadctl(1)\n\n${body}\n`;
}
