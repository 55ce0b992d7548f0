import { formatDuration } from '../base/duration.ts';
import type { Gate, PluginPlan } from '../plan/plan.ts';
import { Draft, type Moment } from './draft.ts';
import { cleared, ended } from './ending.ts';
import { fence } from './fence.ts';
import { closeByHand, settleIncidents } from './incidents.ts';
import { keepPool, start } from './keep-pool.ts';
import { type Counted, withCounters, withDropped } from './limit-reach.ts';
import { nodeIll } from './node-ill.ts';
import type { Observation, Reason } from './observation.ts';
import type { Order } from './order.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { isEmpty, learningOne, living } from './plugin-state.ts';
import { foundIll, probed } from './probes.ts';
import { endAll, FORGIVEN, fail, release } from './quarantine.ts';
import { renew } from './recover.ts';
import { statusLine } from './status-line.ts';

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
        this.set({ plan: seen.plan, reloading: false, reason: undefined, refused: undefined });
        if (this.state.phase === 'loading' || this.state.phase === 'on') this.order({ kind: 'listen' });
        return;
      case 'undeclarable':
      case 'not-listening':
        return this.#unusable(seen.reason);
      case 'listening':
        if (this.state.phase === 'loading') this.set({ phase: 'on' });
        return;
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
        return this.#resumed();
      case 'reload':
        if (this.state.phase !== 'on') return;
        this.set({ reloading: true });
        return this.order({ kind: 'load' });
      case 'forgiven':
        if (this.state.phase === 'failed' && this.state.invocation === undefined) this.#forgive();
        return;
      case 'learn-asked':
        return this.#learn(seen.forMs);
      case 'learned':
        return this.#stopLearning(seen.unit);
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
      case 'woke':
      case 'upgrade-asked':
      case 'rollback-asked':
      case 'upgrade-planned':
      case 'upgrade-unplannable':
      case 'verified':
      case 'unverified':
      case 'weighed':
      case 'not-weighed':
      case 'committed':
      case 'not-committed':
      case 'switched':
      case 'not-switched':
      case 'signals':
        return;
    }
  }

  #learn(forMs: number): void {
    if (this.state.phase !== 'on' || learningOne(this.state) !== undefined) return;
    start(this, { learning: true, standby: false });
    const unit = learningOne(this.state)?.unit;
    this.note('learning', unit, undefined, `notes all that its payload calls, for ${formatDuration(forMs)}`);
  }

  #stopLearning(unit: string | undefined): void {
    const sandbox = learningOne(this.state);
    if (sandbox !== undefined && sandbox.unit === unit) this.stop(sandbox);
  }

  /** A new supervisor goes on where the one before it stopped: what it may not have done any more is ordered again. */
  #resumed(): void {
    const { phase, plan, reason, reloading, sandboxes, open, running } = this.state;
    for (const { incident } of open) this.order({ kind: 'incident', incident });
    for (const order of running) this.order({ kind: 'run', ...order });
    for (const { unit, life, doomed, gate } of sandboxes.values()) {
      if (life === 'stopping') this.order({ kind: doomed ? 'kill' : 'stop', unit });
      if (life === 'dead' || life === 'fenced') this.order({ kind: 'clear', unit });
      if (life === 'frozen') this.order({ kind: 'freeze', unit });
      if (life === 'ready' && gate !== undefined) this.order({ kind: 'gate', unit, gate });
    }
    // Whoever wanted to know is gone with the supervisor before.
    this.#stopLearning(learningOne(this.state)?.unit);
    if (phase === 'on' && plan !== undefined) {
      // Nothing is started before the sockets are known to be there.
      this.set({ phase: 'loading' });
      this.order({ kind: 'listen' });
      if (reloading) this.order({ kind: 'load' });
    } else if (phase === 'loading' || phase === 'on') this.order({ kind: 'load' });
    else if (phase === 'stopping' || phase === 'failed') endAll(this);
    // The one before may have died between deciding and telling.
    if (phase === 'failed' && reason !== undefined) this.tell({ word: 'failed', reason });
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
    endAll(this);
  }

  #forgive(): void {
    closeByHand(this, 'reset');
    this.set({ ...FORGIVEN, phase: isEmpty(this.state) ? 'off' : 'stopping', reason: undefined });
  }

  /** Declaration or sockets cannot be used: what runs goes on as it is; with nothing running the plugin fails. */
  #unusable(reason: Reason): void {
    if (this.state.phase !== 'loading' && this.state.phase !== 'on') return;
    this.set({ reloading: false });
    this.note('declaration', undefined, reason.code, reason.text);
    if (living(this.state).length > 0) this.set({ phase: 'on', refused: reason });
    else fail(this, reason);
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
    if (sandbox === undefined || this.state.plan === undefined) return;
    const { sandbox: after, news } = count(sandbox, this.state.plan, this.moment.now);
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
    for (const sandbox of living(this.state)) if (!sandbox.learning) renew(this, sandbox);
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
    this.set({ notBefore: Math.max(this.state.notBefore, this.moment.now + STOPPED_OUTSIDE_PAUSE_MS) });
    this.note('stopping', unit, undefined, 'is being stopped from outside');
  }

  /** Compares what is there with what is wanted, and orders the difference. */
  converge(): void {
    if (this.state.phase === 'on') keepPool(this);
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
