import type { Supervisor as Plugins } from '../act/supervisor.ts';
import type { Clock } from '../base/clock.ts';
import { Failure } from '../base/failure.ts';
import { learningOne, type SandboxEntry } from '../decide/plugin-state.ts';
import { describeExit } from '../diagnose/exit.ts';
import { listText, propose } from '../learn/propose.ts';
import { ruleText } from '../learn/rule.ts';
import { learningFilterName } from '../plan/filter-name.ts';
import type { PluginPlan } from '../plan/plan.ts';
import type { FilterCache } from '../sandbox/filter-cache.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import type { Sandboxes } from '../sandbox/sandboxes.ts';
import type { LearnReport } from './api.ts';

export interface LearnerParts {
  readonly clock: Clock;
  readonly plugins: Plugins;
  readonly sandboxes: Sandboxes;
  readonly filters: FilterCache;
}

/** How often (ms) it is looked whether the sandbox has gone on: nobody waits for this but the one who asked. */
const LOOK_MS = 100;

/**
 * Runs one more sandbox of a plugin for a time, in which init notes what the payload calls, and proposes the smallest list
 * for it. The sandbox is the plugin's own business (`decide`), so that it goes when the plugin goes, and with a restart of
 * the supervisor; here is only who waits for it.
 */
export class Learner {
  readonly #parts: LearnerParts;

  constructor(parts: LearnerParts) {
    this.#parts = parts;
  }

  /** Throws BH312 when the plugin does not run or is learned from already, and when the sandbox did not start. */
  async learn(plugin: string, forMs: number): Promise<LearnReport> {
    const { plugins, sandboxes, filters } = this.#parts;
    const loop = plugins.loops.get(plugin);
    const plan = loop?.state.plan;
    if (loop === undefined || plan === undefined || loop.state.phase !== 'on')
      throw new Failure('BH312', `'${plugin}' does not run`);
    const known = learningOne(loop.state);
    if (known !== undefined) throw new Failure('BH312', `'${known.unit}' is learning already`);
    // Both before the run, so that a fault in a list is told at once.
    const [ceiling, current] = await Promise.all([
      filters.rules(learningFilterName(plan.declaration)),
      filters.rules(plan.seccomp),
    ]);
    loop.observe({ kind: 'learn-asked', forMs });
    const unit = learningOne(loop.state)?.unit;
    const sandbox = unit === undefined ? undefined : sandboxes.get(unit);
    if (unit === undefined || sandbox === undefined) throw new Failure('BH312', `'${plugin}' does not run any more`);
    const entry = (): SandboxEntry | undefined => loop.state.sandboxes.get(unit);
    const ended = await this.#run(entry, forMs, () => loop.observe({ kind: 'learned', unit }));
    if (sandbox.learned.length === 0)
      throw new Failure('BH312', `'${unit}' did not start: ${ended ?? 'it was stopped'}`);
    return this.#report(plan, sandbox, forMs, ended, propose(sandbox.learned, ceiling, current), current.length);
  }

  /** Until all of the sandbox is gone. Resolves with how its payload ended, if that was not at the end of its time. */
  async #run(entry: () => SandboxEntry | undefined, forMs: number, over: () => void): Promise<string | null> {
    const { clock } = this.#parts;
    let until: number | undefined;
    let ended: string | null = null;
    let asked = false;
    for (let now = entry(); now !== undefined; now = entry()) {
      if (now.life === 'ready') until ??= clock.now() + forMs;
      if (!asked && now.life === 'dead') ended = now.exit === undefined ? 'it ended' : describeExit(now.exit);
      if (!asked && until !== undefined && clock.now() >= until) {
        asked = true;
        over();
      }
      await new Promise<void>((resolve) => {
        clock.after(LOOK_MS, resolve);
      });
    }
    return ended;
  }

  #report(
    plan: PluginPlan,
    { record, learned }: Sandbox,
    forMs: number,
    ended: string | null,
    proposal: ReturnType<typeof propose>,
    lines: number,
  ): LearnReport {
    const { plugin, seccomp } = plan;
    const head = [
      `What plugin '${plugin}' called within ${Math.round(forMs / 1000)} s (bulkheadctl learn), from the lists of '${seccomp}'.`,
      'Read it before you use it: what was not called in that time is not here, and ends the plugin.',
      ...proposal.refused.map((call) => `Called, refused while learning, and not here: ${call}`),
    ];
    return {
      plugin,
      unit: record.unit,
      seconds: forMs / 1000,
      ended,
      filter: seccomp,
      calls: new Set(learned.map(({ call }) => call)).size,
      served: learned.some(({ call }) => call === 'accept' || call === 'accept4'),
      lines,
      proposed: proposal.list.map(ruleText),
      unused: proposal.unused,
      missing: proposal.missing,
      refused: proposal.refused,
      list: listText(proposal.list, head),
    };
  }
}
