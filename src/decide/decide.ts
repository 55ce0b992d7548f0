import { formatDuration } from '../base/duration.ts';
import { sandboxUnitName } from '../plan/identity.ts';
import type { Gate, PluginPlan } from '../plan/plan.ts';
import { backoffDelay, recentDeaths } from './backoff.ts';
import { Draft, type Moment } from './draft.ts';
import { type Counted, memoryDeath, withCounters, withDropped } from './limit-reach.ts';
import type { Exit, Observation, Reason } from './observation.ts';
import { describeExit } from './observation.ts';
import type { Order } from './order.ts';
import type { PluginState, SandboxEntry } from './plugin-state.ts';
import { learningOne, living, NEW_SANDBOX, readyOnes, serving } from './plugin-state.ts';
import { nextReset, poolDifference } from './pool.ts';
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

/**
 * The whole policy of one plugin: state x observation -> new state and orders. First the observation is noted, then
 * what is there is compared with what is wanted, so that a lost or repeated observation does no harm.
 */
export function decide(before: PluginState, observation: Observation, moment: Moment): Decision {
  const policy = new Policy(before, moment);
  policy.observe(observation);
  policy.converge();
  policy.tellNews();
  return { state: policy.state, orders: policy.orders };
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
        this.set({ plan: seen.plan, reason: undefined, refused: undefined });
        if (this.state.phase === 'loading' || this.state.phase === 'on') this.orders.push({ kind: 'listen' });
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
        return this.#ended(seen.unit, 'start-failed', undefined, seen.reason);
      case 'exited':
        return this.#ended(seen.unit, 'exited', seen.exit, undefined);
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
        return this.#cleared(seen.unit);
      case 'resumed':
        return this.#resumed();
      case 'reload':
        if (this.state.phase === 'on') this.orders.push({ kind: 'load' });
        return;
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
      case 'probed':
      case 'unkillable':
      case 'recycle-asked':
      case 'released':
      case 'ran':
      case 'node-ill':
      case 'woke':
        return;
    }
  }

  #learn(forMs: number): void {
    if (this.state.phase !== 'on' || learningOne(this.state) !== undefined) return;
    this.#start(true);
    const unit = learningOne(this.state)?.unit;
    this.note('learning', unit, undefined, `notes all that its payload calls, for ${formatDuration(forMs)}`);
  }

  #stopLearning(unit: string | undefined): void {
    const sandbox = learningOne(this.state);
    if (sandbox !== undefined && sandbox.unit === unit) this.#stop(sandbox);
  }

  /** A new supervisor goes on where the one before it stopped. */
  #resumed(): void {
    const { phase, plan, reason } = this.state;
    // Whoever wanted to know is gone with the supervisor before.
    this.#stopLearning(learningOne(this.state)?.unit);
    if (phase === 'on' && plan !== undefined) {
      // Nothing is started before the sockets are known to be there.
      this.set({ phase: 'loading' });
      this.orders.push({ kind: 'listen' });
    } else if (phase === 'loading' || phase === 'on') this.orders.push({ kind: 'load' });
    else if (phase === 'stopping' || phase === 'failed') for (const sandbox of living(this.state)) this.#stop(sandbox);
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
    this.set({ deathsInRow: 0, deaths: [], notBefore: 0, reason: undefined, refused: undefined, wasReady: false });
    if (this.state.sandboxes.size === 0) this.#load();
    else this.#stopAll();
  }

  #load(): void {
    this.set({ phase: 'loading', plan: undefined });
    this.orders.push({ kind: 'load' });
  }

  #unwanted(): void {
    this.set({ invocation: undefined });
    if (this.state.phase === 'off' || this.state.phase === 'failed') this.tell({ word: 'stopped' });
    else this.#stopAll();
  }

  #stopAll(): void {
    if (this.state.phase !== 'stopping') this.note('stopping', undefined, undefined, 'stopping all sandboxes');
    this.set({ phase: 'stopping' });
    for (const sandbox of living(this.state)) this.#stop(sandbox);
  }

  #stop(sandbox: SandboxEntry): void {
    this.change(sandbox.unit, 'stop-ordered', { asked: true });
    this.orders.push({ kind: 'stop', unit: sandbox.unit });
  }

  #forgive(): void {
    this.set({ phase: this.state.sandboxes.size === 0 ? 'off' : 'stopping', reason: undefined, deaths: [] });
  }

  /** Declaration or sockets cannot be used: what runs goes on as it is; with nothing running the plugin fails. */
  #unusable(reason: Reason): void {
    if (this.state.phase !== 'loading' && this.state.phase !== 'on') return;
    this.note('declaration', undefined, reason.code, reason.text);
    if (living(this.state).length > 0) this.set({ phase: 'on', refused: reason });
    else this.#fail(reason);
  }

  #becameReady(unit: string): void {
    if (!this.change(unit, 'became-ready', { readyAt: this.moment.now })) return;
    this.note('ready', unit, undefined, 'ready');
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

  #gateSeen(unit: string, gate: Gate): void {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox !== undefined) this.put({ ...sandbox, gateSeen: gate });
  }

  #stopSeen(unit: string): void {
    if (!this.change(unit, 'stop-seen', {})) return;
    this.set({ notBefore: Math.max(this.state.notBefore, this.moment.now + STOPPED_OUTSIDE_PAUSE_MS) });
    this.note('stopping', unit, undefined, 'is being stopped from outside');
  }

  #ended(unit: string, event: 'exited' | 'start-failed', exit: Exit | undefined, reason: Reason | undefined): void {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox === undefined) return;
    if (!this.change(unit, event, { exit })) return;
    this.orders.push({ kind: 'clear', unit });
    const memory = memoryDeath(sandbox.outOfMemory, exit, this.state.plan, this.moment.now);
    const why = reason?.text ?? memory ?? (exit === undefined ? 'ended' : describeExit(exit));
    const asked = sandbox.asked || sandbox.life === 'stopping';
    const what = asked ? 'stopped' : event === 'exited' ? 'died' : 'start-failed';
    const limit = memory === undefined ? undefined : 'memory';
    this.note(what, unit, reason?.code, why, { forbidden: exit?.forbidden, limit });
    if (!asked && !sandbox.learning)
      this.#death(sandbox, reason ?? { code: 'BH304', text: `sandbox '${unit}': ${why}` });
  }

  /** Counts a death that nobody asked for, if it begins a new round, and sets the back-off. */
  #death(sandbox: SandboxEntry, reason: Reason): void {
    const settings = this.state.plan?.declaration.recovery;
    if (settings === undefined) return;
    const { now, random } = this.moment;
    const wasHealthy = sandbox.readyAt !== undefined && now - sandbox.readyAt >= settings.backoff.resetMs;
    if (!wasHealthy && sandbox.generation < this.state.roundBegan) return this.set({ reason });
    const deathsInRow = wasHealthy ? 1 : this.state.deathsInRow + 1;
    const deaths = [...recentDeaths(this.state.deaths, now, settings.budget.withinMs), now];
    const delay = backoffDelay(settings.backoff, deathsInRow, random);
    const notBefore = Math.max(this.state.notBefore, now + delay);
    this.set({ deathsInRow, deaths, reason, notBefore, roundBegan: this.state.nextGeneration });
    if (delay > 0 && this.state.phase === 'on') {
      this.note('backing-off', undefined, undefined, `next start in ${delay} ms`);
    }
  }

  #cleared(unit: string): void {
    const sandbox = this.state.sandboxes.get(unit);
    if (sandbox === undefined) return;
    // A unit that vanished without any other word has died, too.
    if (sandbox.life !== 'dead') this.#ended(unit, 'exited', { how: 'unknown', status: 0 }, undefined);
    const sandboxes = new Map(this.state.sandboxes);
    sandboxes.delete(unit);
    this.set({ sandboxes });
    this.orders.push({ kind: 'forget', unit });
  }

  /** Compares what is there with what is wanted, and orders the difference. */
  converge(): void {
    if (this.state.phase === 'on') this.#keepPool();
    if (this.state.phase === 'stopping' && this.state.sandboxes.size === 0) this.#stopped();
    if (this.state.phase !== 'on') this.orders.push({ kind: 'wake', at: undefined });
  }

  #stopped(): void {
    if (this.state.invocation !== undefined) return this.#load();
    this.set({ phase: 'off', reason: undefined, refused: undefined, deaths: [], deathsInRow: 0, notBefore: 0 });
    this.orders.push({ kind: 'unlisten' });
    this.tell({ word: 'stopped' });
    this.note('stopped', undefined, undefined, 'stopped');
  }

  #keepPool(): void {
    const { plan } = this.state;
    if (plan === undefined) return;
    const { now } = this.moment;
    this.#forgetOldDeaths(plan.declaration.recovery.backoff.resetMs);
    const { missing, surplus, otherLimits } = poolDifference(this.state, plan);
    for (const sandbox of otherLimits) {
      this.put({ ...sandbox, limiting: plan.limitsDigest });
      this.orders.push({ kind: 'limit', unit: sandbox.unit });
    }
    if (missing > 0 && !this.#mayStart(plan.declaration.recovery.budget)) return;
    if (missing > 0 && now >= this.state.notBefore) for (let n = 0; n < missing; n++) this.#start(false);
    if (surplus !== undefined) this.#stop(surplus);
    const waits = missing > 0 && now < this.state.notBefore;
    this.orders.push({ kind: 'wake', at: waits ? this.state.notBefore : nextReset(this.state, now) });
    if (readyOnes(this.state).length >= plan.size) this.set({ wasReady: true });
  }

  /** Within the budget; else the plugin fails, unless something of it still serves. */
  #mayStart(budget: { readonly restarts: number; readonly withinMs: number }): boolean {
    const recent = recentDeaths(this.state.deaths, this.moment.now, budget.withinMs);
    if (recent.length <= budget.restarts) return true;
    const { code, text: last } = this.state.reason ?? { code: 'BH304', text: 'unknown' };
    if (serving(this.state).length === 0) {
      const seconds = Math.round(budget.withinMs / 1000);
      const ends = recent.length === 1 ? 'death' : 'deaths';
      // What the last one died of says more than that there were too many.
      this.#fail({ code, text: `${recent.length} ${ends} within ${seconds} s; the last: ${last}` });
      return false;
    }
    // What still serves is worth more than a clean failure: wait until the budget has room again.
    if (readyOnes(this.state).length > 0) this.set({ wasReady: true });
    const oldest = recent[0] ?? this.moment.now;
    this.orders.push({ kind: 'wake', at: oldest + budget.withinMs });
    return false;
  }

  #fail(reason: Reason): void {
    this.note('failed', undefined, reason.code, reason.text);
    this.set({ phase: 'failed', reason });
    for (const sandbox of living(this.state)) this.#stop(sandbox);
    this.orders.push({ kind: 'unlisten' });
    this.tell({ word: 'failed', reason });
  }

  #start(learning: boolean): void {
    const { plugin, slot, nextGeneration: generation, plan } = this.state;
    if (plan === undefined) return;
    const unit = sandboxUnitName(plugin, slot, generation, plan.declaration.isolation);
    const { digest, limitsDigest: limits } = plan;
    this.put({
      unit,
      slot,
      generation,
      digest,
      limits,
      learning,
      life: 'starting',
      readyAt: undefined,
      ...NEW_SANDBOX,
    });
    const restarts = !learning && (this.state.wasReady || this.state.deaths.length > 0) ? 1 : 0;
    this.set({ nextGeneration: generation + 1, restartsTotal: this.state.restartsTotal + restarts });
    this.note('starting', unit, undefined, plan.version === undefined ? 'starting' : `starting ${plan.version}`);
    this.orders.push({ kind: 'start', unit, slot, generation, learning, standby: false, seat: -1 });
  }

  /** Sustained health of the whole pool clears the back-off and the last reason. */
  #forgetOldDeaths(resetMs: number): void {
    const ready = readyOnes(this.state);
    const whole = this.state.plan !== undefined && ready.length >= this.state.plan.size;
    if (whole && this.state.reason !== undefined) this.set({ reason: undefined });
    const sustained = ready.every(({ readyAt }) => readyAt !== undefined && this.moment.now - readyAt >= resetMs);
    if (whole && sustained && this.state.deathsInRow > 0) this.set({ deathsInRow: 0 });
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
