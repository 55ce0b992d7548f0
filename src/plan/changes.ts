import type { Declaration, Listen } from '../declare/declaration.ts';
import { type DeclaredText, declaredTexts } from './declared-texts.ts';
import { isGated } from './gate.ts';
import { isLiveKey, limitText } from './limit-texts.ts';
import type { PlannedLimits, PluginPlan } from './plan.ts';
import { accessText } from './rpc.ts';
import { isInPlace } from './slot.ts';

/**
 * How a difference between two plans is applied by a reload, the least disruptive first. `now`: the supervisor itself
 * acts on it; `live`: set on the sandboxes that run; `in-place`: what they see is switched; `beside`: it takes new
 * sandboxes, which come beside the old ones.
 */
export const CHANGE_WAYS = ['now', 'live', 'in-place', 'beside'] as const;

export type ChangeWay = (typeof CHANGE_WAYS)[number];

/** One key whose value differs. Values are as people write them; empty where a key is not there. */
export interface Change {
  readonly key: string;
  readonly before: string;
  readonly after: string;
  readonly way: ChangeWay;
}

/** What a reload makes of each difference, in words. */
const WORDS: Readonly<Record<ChangeWay, string>> = {
  now: 'a reload puts it in force at once',
  live: 'a reload sets it on what runs',
  'in-place': 'a reload switches it under what runs',
  beside: 'a reload starts new sandboxes beside the old ones',
};

/** All that differs between the plan in force and another one, in the order of keys. */
export function planChanges(before: PluginPlan, after: PluginPlan): Change[] {
  const [old, fresh] = [new Map(valuesOf(before)), new Map(valuesOf(after))];
  const keys = [...new Set([...old.keys(), ...fresh.keys()])];
  const changes = keys.flatMap((key): Change[] => {
    const [one, other] = [old.get(key), fresh.get(key)];
    if (one?.text === other?.text && one?.content === other?.content) return [];
    const [was, becomes] = [one?.text ?? '', other?.text ?? ''];
    const shown = was === becomes ? `${becomes}, changed in itself` : becomes;
    return [{ key, before: was, after: shown, way: wayOf(key, before, after) }];
  });
  // The digest is what counts for sandboxes; a key alone may be of no consequence.
  if (before.digest === after.digest)
    return changes.map((each) => (each.way === 'beside' ? { ...each, way: 'now' } : each));
  return explained(changes, before, after);
}

/** The most disruptive way of all; undefined when nothing differs. */
export function reloadWay(changes: readonly Change[]): ChangeWay | undefined {
  return CHANGE_WAYS.findLast((way) => changes.some((change) => change.way === way));
}

/** `pool.size: 1 becomes 2; a reload puts it in force at once`. */
export function changeText({ key, before, after, way }: Change): string {
  const what = before === '' ? `is ${after} now` : after === '' ? `${before} is gone` : `${before} becomes ${after}`;
  return `${key}: ${what}; ${WORDS[way]}`;
}

/** A sandbox can differ in what no key tells, after an upgrade of bulkhead say. */
function explained(changes: readonly Change[], before: PluginPlan, after: PluginPlan): Change[] {
  if (changes.some(({ way }) => way === 'beside')) return [...changes];
  return [...changes, { key: 'digest', before: before.digest, after: after.digest, way: 'beside' }];
}

interface Value {
  readonly text: string;
  /** What changes with a file's content. */
  readonly content?: string;
}

function valuesOf(plan: PluginPlan): [string, Value][] {
  const { declaration, limits } = plan;
  const contents = new Map(plan.credentials.map(({ name, stamp }) => [`credentials.${name}`, stamp]));
  if (plan.image !== undefined) contents.set('view.root', plan.image.stamp);
  const texts: DeclaredText[] = [
    ...declaredTexts(declaration),
    ...sandboxTexts(declaration),
    ...(Object.keys(limits) as (keyof PlannedLimits)[]).map((name): DeclaredText => {
      const { key, text } = limitText(name, limits);
      return [key, text];
    }),
  ];
  return texts.map(([key, text]) => {
    const content = contents.get(key);
    return [key, content === undefined ? { text } : { text, content }];
  });
}

/** The keys that `declaredTexts` leaves to what they are planned to. */
function sandboxTexts(declaration: Declaration): DeclaredText[] {
  const { exec, environment, listen, network, view, state, devices } = declaration;
  const { mode, egress } = network;
  return [
    ['exec', exec.join(' ')],
    ...Object.entries(environment).map(([name, value]): DeclaredText => [`environment.${name}`, value]),
    ['listen', listen.map(listenText).join(', ') || 'none'],
    ...(declaration.rpc === undefined ? [] : [['rpc', accessText(declaration.rpc)] as const]),
    ['network', mode === 'egress' ? `egress to ${egress.map(({ host, port }) => `${host}:${port}`).join(' ')}` : mode],
    ['view.tmpfs', view.tmpfs.map(({ path, size }) => `${path}:${size}`).join(' ') || 'none'],
    ['state.path', state.path ?? 'none'],
    ['devices', devices.map(({ path, access }) => `${path}:${access}`).join(' ') || 'none'],
    ['seccomp', declaration.seccomp],
  ];
}

function listenText(listen: Listen): string {
  const { name, backlog, to } = listen;
  const common = `as ${name}, backlog ${backlog}${to === undefined ? '' : `, to ${to}`}`;
  if (listen.kind === 'tcp') return `tcp ${listen.host}:${listen.port} ${common}`;
  const { path, mode, user, group } = listen;
  return `unix ${path} ${common}, mode ${mode.toString(8)}, ${user}:${group}`;
}

/** Keys that no sandbox is made of. */
const NOW =
  /^(template|description|pool\.size|health\.(heartbeat|request-timeout|spin|stopped)|recovery\..*|upgrade\.(?!way$|judge\.metrics$).*|versions\..*|schedule.*)$/;

function wayOf(key: string, before: PluginPlan, after: PluginPlan): ChangeWay {
  if (NOW.test(key)) return 'now';
  if (key.startsWith('limits.')) return isLiveKey(key) ? 'live' : 'beside';
  if (key === 'pool.standby') return isGated(before.declaration) === isGated(after.declaration) ? 'now' : 'beside';
  const isSwitch = isInPlace(before.declaration) && isInPlace(after.declaration) && before.digest === after.digest;
  return key === 'version' && isSwitch ? 'in-place' : 'beside';
}
