import type { Upgrade } from './upgrade.ts';

/** Where a change of version stands, on one line: `v1 -> v2: canary 25 %, 4 s of 10 s`. */
export function upgradeLine(upgrade: Upgrade, now: number): string {
  return `${wayOf(upgrade)}: ${standing(upgrade, now)}`;
}

/** `v1 -> v2`; a reload that keeps the version has only one. */
export function wayOf({ from, to, kind }: Pick<Upgrade, 'from' | 'to' | 'kind'>): string {
  if (from !== to) return `${from ?? '-'} -> ${to ?? '-'}`;
  return to === undefined ? kind : `${kind} of ${to}`;
}

function standing(upgrade: Upgrade, now: number): string {
  const { step, weight, weighed, stages, stage, stageSince, bakeMs, undo } = upgrade;
  switch (step) {
    case 'planning':
    case 'verifying':
    case 'preparing':
    case 'starting':
    case 'switching':
    case 'committing':
      return step;
    case 'canary': {
      const at = stages[stage] ?? weight;
      const share = at === 100 ? 'all new connections' : `canary ${at} %`;
      return weighed && stageSince !== undefined
        ? `${share}, ${elapsed(now - stageSince, bakeMs)}`
        : `${share}, beginning`;
    }
    case 'baking':
      return stageSince === undefined ? 'baking' : `baking, ${elapsed(now - stageSince, bakeMs)}`;
    case 'draining':
      return `live; the old side ends what it has`;
    case 'undoing':
      return undo === undefined ? 'being undone' : `being undone: ${undo.code} ${undo.text}`;
  }
}

/** Whole seconds, so that it changes once a second at most. */
function elapsed(sinceMs: number, bakeMs: number): string {
  const over = sinceMs > bakeMs ? ', waiting for more requests' : '';
  return `${Math.floor(Math.min(sinceMs, bakeMs) / 1000)} s of ${Math.round(bakeMs / 1000)} s${over}`;
}
