/**
 * A STATE x EVENT table. The type makes it exhaustive: leaving out a state, or an event in a state, does not
 * compile. `ignore` says that the event cannot matter in that state, which is different from having forgotten it.
 */
export type StateTable<State extends string, Event extends string> = {
  readonly [S in State]: { readonly [E in Event]: State | 'ignore' };
};

/** The next state, or undefined when the event changes nothing. */
export function nextState<State extends string, Event extends string>(
  table: StateTable<State, Event>,
  state: State,
  event: Event,
): State | undefined {
  const next = table[state][event];
  return next === 'ignore' || next === state ? undefined : (next as State);
}
