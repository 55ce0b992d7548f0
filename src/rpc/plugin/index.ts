/** What `bulkhead/plugin` is: the SDK of plugins in JavaScript and TypeScript. */
export type { Call } from './call.ts';
export type { Checkpoint, CheckpointOptions, Saved } from './checkpoint.ts';
export type { Journal } from './journal.ts';
export type { Method, StreamMethod } from './methods.ts';
export { Plugin, type PluginOptions } from './plugin.ts';
export { PluginError } from './plugin-error.ts';
export type { Replay } from './replay.ts';
