import { FAILURES, type FailureCode } from '../base/failure.ts';
import type { PluginState, PluginSummary } from './api.ts';
import type { ListRow } from './wire-names.ts';

/** D-Bus has no null: what is missing travels as ''. */
export function toRow(plugin: PluginSummary): ListRow {
  const { name, state, version, line, ready, size, reason } = plugin;
  return [name, state, version ?? '', line, ready, size, reason?.code ?? '', reason?.text ?? ''];
}

export function fromRow(row: ListRow): PluginSummary {
  const [name, state, version, line, ready, size, code, text] = row;
  // A newer supervisor may know codes that this client does not.
  const known: FailureCode = Object.hasOwn(FAILURES, code) ? (code as FailureCode) : 'BH407';
  const reason = code === '' ? null : { code: known, text };
  return { name, state: state as PluginState, version: version === '' ? null : version, line, ready, size, reason };
}
