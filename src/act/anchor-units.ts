/** What systemd says of an anchor's unit. */
export interface AnchorUnit {
  readonly plugin: string;
  readonly activeState: string;
  readonly subState: string;
  /** 32 hex digits; '' when the unit never ran. */
  readonly invocation: string;
  /** Automatic restarts since somebody started it (systemd.service(5), NRestarts). */
  readonly automaticRestarts: number;
}

/**
 * Whether the anchor says "this plugin is wanted". While systemd restarts it by itself, nobody has taken the wish
 * back; while it stops, somebody has.
 */
export function isWanted(anchor: AnchorUnit): boolean {
  if (anchor.subState.includes('auto-restart')) return true;
  return anchor.activeState === 'active' || anchor.activeState === 'activating' || anchor.activeState === 'reloading';
}
