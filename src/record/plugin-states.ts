import { totalmem } from 'node:os';
import type { RememberedState } from '../decide/restore.ts';
import type { Upgrade } from '../decide/upgrade.ts';
import { completeDeclaration } from '../declare/complete.ts';
import type { Origin } from '../declare/declaration.ts';
import { namesIn, readFileIfThere, removeFile, writeFileAtomically } from '../kernel/files.ts';
import { planNetwork } from '../plan/network.ts';
import type { PluginPlan } from '../plan/plan.ts';
import { planLimits } from '../plan/plan-limits.ts';

/** The form on disk: JSON has no maps and no undefined. */
interface StoredState extends Omit<RememberedState, 'plan' | 'previous' | 'upgrade'> {
  readonly format: 1;
  readonly plugin: string;
  readonly plan?: StoredPlan;
  readonly previous?: StoredPlan;
  readonly upgrade?: StoredUpgrade;
}

type StoredPlan = Omit<PluginPlan, 'origins'> & { readonly origins: readonly (readonly [string, Origin])[] };
type StoredUpgrade = Omit<Upgrade, 'plan'> & { readonly plan?: StoredPlan };

/** What is remembered of each plugin over a restart of the supervisor; gone after a reboot. */
export class PluginStates {
  readonly #directory: string;
  /** The last text written, so that a decision that changed nothing durable writes nothing. */
  readonly #written = new Map<string, string>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  save(plugin: string, state: RememberedState): void {
    const { plan, previous, upgrade, ...rest } = state;
    const stored: StoredState = {
      format: 1,
      plugin,
      ...rest,
      ...(plan === undefined ? {} : { plan: store(plan) }),
      ...(previous === undefined ? {} : { previous: store(previous) }),
      ...(upgrade === undefined ? {} : { upgrade: storeUpgrade(upgrade) }),
    };
    const text = `${JSON.stringify(stored)}\n`;
    if (this.#written.get(plugin) === text) return;
    writeFileAtomically(this.#path(plugin), text);
    this.#written.set(plugin, text);
  }

  /** All plugins that something is remembered of. A damaged file is told of and removed: the machine is the truth. */
  all(damaged: (file: string, why: string) => void): Map<string, RememberedState> {
    const states = new Map<string, RememberedState>();
    for (const name of namesIn(this.#directory, '.json')) {
      const file = `${this.#directory}/${name}`;
      const stored = parse(readFileIfThere(file));
      if (stored !== undefined && `${stored.plugin}.json` === name) states.set(stored.plugin, revive(stored));
      else {
        damaged(file, 'not a plugin state of this format');
        removeFile(file);
      }
    }
    return states;
  }

  #path(plugin: string): string {
    return `${this.#directory}/${plugin}.json`;
  }
}

function parse(text: string | undefined): StoredState | undefined {
  if (text === undefined) return undefined;
  try {
    const stored = JSON.parse(text) as StoredState;
    const whole =
      stored.format === 1 &&
      typeof stored.plugin === 'string' &&
      typeof stored.phase === 'string' &&
      Number.isSafeInteger(stored.nextGeneration) &&
      Array.isArray(stored.deaths) &&
      // Versions that did not know them did not write them down.
      [stored.chains, stored.crashes, stored.restarts, stored.open, stored.running, stored.members].every(
        (list) => list === undefined || Array.isArray(list),
      );
    return whole ? stored : undefined;
  } catch {
    return undefined;
  }
}

function store(plan: PluginPlan): StoredPlan {
  return { ...plan, origins: [...plan.origins] };
}

function storeUpgrade({ plan, ...rest }: Upgrade): StoredUpgrade {
  return { ...rest, ...(plan === undefined ? {} : { plan: store(plan) }) };
}

function revive(stored: StoredState): RememberedState {
  const { plan, previous, upgrade, format: _format, plugin: _plugin, ...rest } = stored;
  return {
    ...rest,
    invocation: rest.invocation,
    healing: rest.healing,
    reason: rest.reason,
    refused: rest.refused,
    lastUpgrade: rest.lastUpgrade,
    declared: rest.declared,
    plan: plan === undefined ? undefined : revivePlan(plan),
    previous: previous === undefined ? undefined : revivePlan(previous),
    upgrade: upgrade === undefined ? undefined : reviveUpgrade(upgrade),
  };
}

function reviveUpgrade(stored: StoredUpgrade): Upgrade {
  const { why, from, to, declared, plan, stageSince, undo, incident, signals } = stored;
  const given = { why, from, to, declared, stageSince, undo, incident, signals };
  return { ...stored, ...given, plan: plan === undefined ? undefined : revivePlan(plan) };
}

/** Keys and limits that an earlier version did not know get their defaults; the digest stays what the sandboxes have. */
function revivePlan(stored: StoredPlan): PluginPlan {
  const declaration = completeDeclaration(stored.declaration);
  return {
    ...stored,
    declaration,
    limits: { ...planLimits(declaration.limits, totalmem()), ...stored.limits },
    image: stored.image,
    versionImage: stored.versionImage,
    credentials: stored.credentials ?? [],
    network: planNetwork(declaration.network),
    origins: new Map(stored.origins),
  };
}
