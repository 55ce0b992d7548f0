import type { Stdio } from './declaration.ts';
import { must, type Source } from './source.ts';
import { readMessage } from './values.ts';

/** How a program is offered that speaks on its standard streams; nothing for one that serves sockets itself. */
export function convertStdio(source: Source): { readonly stdio?: Stdio } {
  if (source.find('stdio') !== undefined) source.note('stdio', source.find('stdio'));
  if (source.text('kind') !== 'stdio') return {};
  const protocol = source.text('stdio.protocol');
  return {
    stdio: {
      protocol: protocol === 'lines' || protocol === 'raw' ? protocol : 'mcp',
      process: source.text('stdio.process') === 'shared' ? 'shared' : 'connection',
      connections: Number(source.text('stdio.connections')),
      message: must('stdio.message', readMessage(source.text('stdio.message'))),
    },
  };
}
