/** The kinds of isolation that the suite runs for. */
export const KINDS = ['nspawn', 'scope'] as const;
export type Kind = (typeof KINDS)[number];
