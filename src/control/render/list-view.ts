import type { PluginSummary } from '../api.ts';
import { PLUGIN_LOOK } from './state.ts';
import { renderTable, type TableOptions } from './table.ts';

/** One plugin a line, by name. */
export function renderList(plugins: readonly PluginSummary[], options: TableOptions): string {
  if (plugins.length === 0) return 'No plugin is declared; write one as /etc/bulkhead/plugins/NAME.yaml.\n';
  const sorted = [...plugins].sort((one, other) => (one.name < other.name ? -1 : 1));
  const rows = sorted.map((plugin) => [
    { text: PLUGIN_LOOK[plugin.state].dot, style: PLUGIN_LOOK[plugin.state].style },
    { text: plugin.name },
    { text: plugin.state, style: PLUGIN_LOOK[plugin.state].style },
    { text: `${plugin.ready}/${plugin.size}` },
    { text: plugin.version ?? '-' },
    { text: plugin.reason === null ? plugin.line : `${plugin.reason.code} ${plugin.reason.text}` },
  ]);
  return renderTable(
    [
      { title: '' },
      { title: 'NAME', shrinkTo: 10 },
      { title: 'STATE' },
      { title: 'READY', align: 'right' },
      { title: 'VERSION', shrinkTo: 6, dropRank: 1 },
      { title: 'STATUS', shrinkTo: 12, dropRank: 2 },
    ],
    rows,
    options,
  );
}
