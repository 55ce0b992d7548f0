import type { PluginState, SandboxStatus } from '../api.ts';
import type { Style } from './colour.ts';

/** The dot before a name, as systemctl draws it: filled runs, empty does not, a cross failed, an arrow changes. */
export const PLUGIN_LOOK: Readonly<Record<PluginState, { readonly dot: string; readonly style: Style }>> = {
  running: { dot: '●', style: 'good' },
  degraded: { dot: '●', style: 'warning' },
  starting: { dot: '↻', style: 'busy' },
  stopping: { dot: '↻', style: 'busy' },
  stopped: { dot: '○', style: 'dim' },
  failed: { dot: '×', style: 'bad' },
  invalid: { dot: '×', style: 'bad' },
};

export const SANDBOX_STYLE: Readonly<Record<SandboxStatus['state'], Style>> = {
  ready: 'good',
  starting: 'busy',
  stopping: 'busy',
  frozen: 'warning',
  fenced: 'bad',
  gone: 'dim',
};
