import { formatBytes } from '../../base/bytes.ts';
import type { VersionStatus } from '../version-store.ts';
import type { Style } from './colour.ts';
import { renderTable, type TableOptions } from './table.ts';
import { formatMoment } from './time.ts';

/** One version a line, and below what is wrong with one. */
export function renderVersions(versions: readonly VersionStatus[], options: TableOptions): string {
  if (versions.length === 0) return 'No version is installed; see "bulkheadctl install --help".\n';
  const table = renderTable(
    [
      { title: 'VERSION', shrinkTo: 8 },
      { title: 'STATE' },
      { title: 'DIGEST' },
      { title: 'SIZE', align: 'right', dropRank: 2 },
      { title: 'INSTALLED', dropRank: 1 },
      { title: 'BY', shrinkTo: 6, dropRank: 3 },
    ],
    versions.map((each) => [
      { text: each.version },
      stateOf(each),
      { text: each.record?.digest.slice(0, 16) ?? 'no digest' },
      { text: each.record === null ? '-' : formatBytes(each.record.bytes) },
      { text: each.record === null ? '-' : formatMoment(each.record.installedAt) },
      { text: each.record?.by ?? '-' },
    ]),
    options,
  );
  const notes = versions.flatMap(({ version, failed, damage }) => [
    ...(failed === null ? [] : [[version, `${failed.code} ${failed.text}`]]),
    ...(damage === null ? [] : [[version, damage]]),
  ]);
  if (notes.length === 0) return table;
  const rows = notes.map(([version = '', text = '']) => [{ text: version }, { text }]);
  return `${table}\n${renderTable([{ title: 'VERSION' }, { title: 'WHAT IS WRONG', shrinkTo: 20 }], rows, options)}`;
}

function stateOf({ roles, failed, damage }: VersionStatus): { readonly text: string; readonly style?: Style } {
  // What is live runs, too, as long as anything does.
  const words = roles.includes('live') ? roles.filter((role) => role !== 'running') : roles;
  if (damage !== null) return { text: [...words, 'damaged'].join(', '), style: 'bad' };
  if (failed !== null) return { text: [...words, 'failed'].join(', '), style: 'bad' };
  if (words.length === 0) return { text: '-' };
  return roles.includes('live') ? { text: words.join(', '), style: 'good' } : { text: words.join(', ') };
}
