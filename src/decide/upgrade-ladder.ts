/** How large both sides are where nothing is going on, and how many sandboxes there may be beside the larger one. */
export interface Ladder {
  readonly old: number;
  readonly new: number;
  readonly surge: number;
}

/** How many sandboxes each side is to have, and what percent of the connections the new one can bear with them. */
export interface Rung {
  readonly old: number;
  readonly new: number;
  readonly weight: number;
}

/**
 * The next rung on the way from the weight in force to the wanted one. With room for a whole second side that is all of
 * the way. With less the old side gives up, at each rung, what the connections that it still has do not need, and the new
 * side takes the places.
 */
export function nextRung({ old, new: size, surge }: Ladder, weight: number, goal: number): Rung {
  const most = Math.max(old, size) + surge;
  const grown = Math.min(size, most - bearers(old, 100 - weight));
  const reached = grown >= bearers(size, goal) ? goal : Math.min(goal, Math.ceil((100 * grown) / size));
  return { old: Math.min(old, most - grown), new: grown, weight: reached };
}

/** So many of a side's sandboxes bear this share of the connections as all of them bear all. One at least. */
export function bearers(size: number, percent: number): number {
  if (percent >= 100) return size;
  // Shares are whole percents: the 34th percent of three sandboxes is not worth a second one.
  return Math.max(1, Math.ceil((size * (percent - 1)) / 100));
}
