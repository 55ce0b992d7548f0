import type { Gate, PluginPlan } from '../plan/plan.ts';
import { Draft, type Moment } from './draft.ts';
import { cleared, ended } from './ending.ts';
import { fence } from './fence.ts';
import { closeByHand, settleIncidents } from './incidents.ts';
import { keepPool } from './keep-pool.ts';
import { learn, stopLearning } from './learning.ts';
import { type Counted, withCounters, withDropped } from './limit-reach.ts';
import { declared, listening, reload, unusable } from './loading.ts';
import { nodeIll } from './node-ill.ts';
import type { Observation, Reason } from './observation.ts';
import type { Order } from './order.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { isEmpty, serving, standbys } from './plugin-state.ts';
import { foundIll, probed } from './probes.ts';
import { endAll, FORGIVEN, release } from './quarantine.ts';
import { renew } from './recover.ts';
import { resumed } from './resume.ts';
import { planOf } from './sides.ts';
import { statusLine } from './status-line.ts';
import { setUpgrade } from './upgrade-course.ts';
import { driveUpgrade } from './upgrade-drive.ts';
import { abort } from './upgrade-end.ts';
import { prepared, refused } from './upgrade-plan.ts';
import { upgradeSeen } from './upgrade-seen.ts';

export interface Decision {
  readonly state: PluginState;
  readonly orders: readonly Order[];
}

/**
 * A stop that systemd carries out on someone's behalf reaches init and the anchor at the same time. A sandbox that
 * ended that way is replaced only after this pause (ms), so that the anchor's word, which usually follows within
 * milliseconds, comes first.
 */
const STOPPED_OUTSIDE_PAUSE_MS = 500;
/** Answers of init to the contrary before its gate is left as it is. */
const MOST_GATE_TRIES = 5;

/**
 * The whole policy of one plugin: state x observation -> new state and orders. First the observation is noted, then
 * what is there is compared with what is wanted, so that a lost or repeated observation does no harm.
 */
export function decide(before: PluginState, observation: Observation, moment: Moment): Decision {
  const policy = new Policy(before, moment);
  policy.observe(observation);
  policy.converge();
  settleIncidents(policy);
  policy.tellNews();
  return { orders: policy.finish(), state: policy.state };
}

/** The rules, applied to one decision. */
class Policy extends Draft {
  observe(seen: Observation): void {
    switch (seen.kind) {
      case 'wanted':
        return this.#wanted(seen.invocation, seen.automatic);
      case 'unwanted':
        return this.#unwanted();
      case 'declared':
        return declared(this, seen);
      case 'undeclarable':
        return unusable(this, seen.reason);
      case 'not-listening':
        if (seen.upgrade === undefined) return unusable(this, seen.reason);
        return refused(this, seen.upgrade, 'preparing', seen.reason);
      case 'listening':
        if (seen.upgrade === undefined) return listening(this);
        return prepared(this, seen.upgrade);
      case 'became-ready':
        return this.#becameReady(seen.unit);
      case 'start-failed':
        return ended(this, seen.unit, 'start-failed', undefined, seen.reason);
      case 'exited':
        return ended(this, seen.unit, 'exited', seen.exit, undefined);
      case 'counted':
        return this.#reached(seen.unit, (...known) => withCounters(seen.counters, ...known));
      case 'messages-dropped':
        return this.#reached(seen.unit, (...known) => withDropped(seen.count, ...known));
      case 'limited':
        return this.#limited(seen.unit, seen.limits);
      case 'limit-refused':
        return this.#limitRefused(seen.unit, seen.limits, seen.reason);
      case 'stop-seen':
        return this.#stopSeen(seen.unit);
      case 'cleared':
        return cleared(this, seen.unit);
      case 'resumed':
        return resumed(this);
      case 'reload':
        return reload(this);
      case 'forgiven':
        if (this.state.phase === 'failed' && this.state.invocation === undefined) this.#forgive();
        return;
      case 'learn-asked':
        return learn(this, seen.forMs);
      case 'learned':
        return stopLearning(this, seen.unit);
      case 'gate':
        return this.#gateSeen(seen.unit, seen.gate);
      case 'diagnosed':
        return this.#of(seen.unit, (sandbox) => foundIll(this, sandbox, seen.verdict));
      case 'probed':
        return probed(this, seen);
      case 'unkillable':
        return this.#of(seen.unit, (sandbox) => fence(this, sandbox));
      case 'recycle-asked':
        return this.#recycle(seen.by);
      case 'released':
        return release(this, seen.by);
      case 'ran':
        return this.#ran(seen.incident, seen.status, seen.text);
      case 'node-ill':
        return nodeIll(this, seen.verdict);
      case 'upgrade-asked':
      case 'rollback-asked':
      case 'upgrade-planned':
      case 'upgrade-unplannable':
      case 'verified':
      case 'unverified':
      case 'weighed':
      case 'not-weighed':
      case 'upgrade-ended':
      case 'committed':
      case 'not-committed':
      case 'switched':
      case 'not-switched':
      case 'signals':
        return upgradeSeen(this, seen);
      case 'woke':
        return;
    }
  }

  #wanted(invocation: string, automatic: boolean): void {
    const { phase, invocation: known } = this.state;
    if (invocation === known) return;
    this.set({ invocation, toldStatus: '', toldReady: false });
    const carriesOn = automatic && (phase === 'on' || phase === 'loading');
    if (carriesOn) return;
    this.note('wanted', undefined, undefined, 'start asked for');
    closeByHand(this, 'started anew');
    this.set({ ...FORGIVEN, reason: undefined, refused: undefined, wasReady: false });
    if (isEmpty(this.state)) this.#load();
    else this.#stopAll();
  }

  #load(): void {
    this.set({ phase: 'loading', plan: undefined });
    this.order({ kind: 'load' });
  }

  #unwanted(): void {
    this.set({ invocation: undefined });
    if (this.state.phase === 'off' || this.state.phase === 'failed') this.tell({ word: 'stopped' });
    else this.#stopAll();
  }

  #stopAll(): void {
    if (this.state.phase !== 'stopping') this.note('stopping', undefined, undefined, 'stopping all sandboxes');
    this.set({ phase: 'stopping', healing: undefined });
    abort(this, { code: 'BH325', text: 'the plugin was stopped' });
    endAll(this);
  }

  #forgive(): void {
    closeByHand(this, 'reset');
    this.set({ ...FORGIVEN, phase: isEmpty(this.state) ? 'off' : 'stopping', reason: undefined });
  }

  #becameReady(unit: string): void {
    if (!this.change(unit, 'became-ready', { readyAt: this.moment.now })) return;
    this.note('ready', unit, undefined, 'ready');
    const { gate, gateSeen } = this.state.sandboxes.get(unit) ?? {};
    // Promoted while it started.
    if (gate === 'open' && gateSeen !== 'open') this.order({ kind: 'gate', unit, gate });
  }

  #reached(unit: string, count: (sandbox: SandboxEntry, plan: PluginPlan, now: number) => Counted): void {
    const sandbox = this.state.sandboxes.get(unit);
    const plan = sandbox === undefined ? undefined : planOf(this.state, sandbox.slot);
    if (sandbox === undefined || plan === undefined) return;
    const { sandbox: after, news } = count(sandbox, plan, this.moment.now);
    this.put(after);
    for (const { limit, text } of news) this.note('limit', unit, undefined, `limit reached: ${text}`, { limit });
  }

  #limited(unit: string, limits: string): void {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox === undefined) return;
    const limiting = sandbox.limiting === limits ? undefined : sandbox.limiting;
    this.put({ ...sandbox, limits, limiting });
    this.note('note', unit, undefined, 'limits set as declared now');
  }

  #limitRefused(unit: string, limits: string, reason: Reason): void {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox?.life !== 'ready' || sandbox.limiting !== limits) return;
    this.put({ ...sandbox, limiting: undefined, unlimitable: true });
    this.note('declaration', unit, reason.code, `limits cannot be set, so it is replaced: ${reason.text}`);
  }

  /** Init says how the gate stands. When that is not how it is to stand, it is told again, but not for ever. */
  #gateSeen(unit: string, gate: Gate): void {
    this.#of(unit, (sandbox) => {
      const isRight = sandbox.gate === undefined || sandbox.gate === gate;
      const gateTries = isRight ? 0 : sandbox.gateTries + 1;
      this.put({ ...sandbox, gateSeen: gate, gateTries });
      if (isRight || sandbox.life !== 'ready' || gateTries > MOST_GATE_TRIES || sandbox.gate === undefined) return;
      this.order({ kind: 'gate', unit, gate: sandbox.gate });
    });
  }

  #of(unit: string, look: (sandbox: SandboxEntry) => void): void {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox !== undefined) look(sandbox);
  }

  /** All are started anew, one after the other, as after a reload. */
  #recycle(by: string): void {
    if (this.state.phase !== 'on') return;
    this.note(
      'recycling',
      undefined,
      undefined,
      `all sandboxes are started anew, one after the other: asked for by ${by}`,
    );
    for (const sandbox of [...serving(this.state), ...standbys(this.state)]) renew(this, sandbox);
  }

  #ran(incident: string, status: number, text: string): void {
    const [ended] = this.state.running.filter((order) => order.incident === incident);
    if (ended === undefined) return;
    this.set({ running: this.state.running.filter((order) => order !== ended) });
    const said = text === '' ? '' : `: ${text}`;
    this.order({ kind: 'incident-step', id: incident, text: `'${ended.words[0]}' ended with status ${status}${said}` });
  }

  #stopSeen(unit: string): void {
    if (!this.change(unit, 'stop-seen', {})) return;
    const notBefore = this.moment.now + STOPPED_OUTSIDE_PAUSE_MS;
    if (this.state.sandboxes.get(unit)?.slot === this.state.slot)
      this.set({ notBefore: Math.max(this.state.notBefore, notBefore) });
    setUpgrade(this, { notBefore });
    this.note('stopping', unit, undefined, 'is being stopped from outside');
  }

  /** Compares what is there with what is wanted, and orders the difference. */
  converge(): void {
    if (this.state.phase === 'on') keepPool(this);
    if (this.state.phase === 'on') driveUpgrade(this);
    if (this.state.phase === 'stopping' && isEmpty(this.state)) this.#stopped();
  }

  #stopped(): void {
    if (this.state.invocation !== undefined) return this.#load();
    closeByHand(this, 'the plugin was stopped');
    this.set({ ...FORGIVEN, phase: 'off', reason: undefined, refused: undefined });
    this.order({ kind: 'unlisten' });
    this.tell({ word: 'stopped' });
    this.note('stopped', undefined, undefined, 'stopped');
  }

  tellNews(): void {
    if (this.state.phase === 'failed' || this.state.phase === 'off') return;
    const text = statusLine(this.state);
    if (text !== this.state.toldStatus) {
      this.set({ toldStatus: text });
      this.tell({ word: 'status', text });
    }
    if (this.state.phase === 'on' && this.state.wasReady && !this.state.toldReady) {
      this.set({ toldReady: true });
      this.tell({ word: 'ready' });
    }
  }
}
