import type { Listen } from '../declare/declaration.ts';
import { attachWeight, listenTcp } from '../kernel/native.ts';
import type { Pair } from './pair.ts';

/**
 * Two sockets that share an address (SO_REUSEPORT, socket(7)). The kernel numbers them in the order in which they began
 * to listen, and a program of the group chooses one by its number. When one is closed the last one gets its number, so
 * neither is, as long as the plugin is on.
 */
export function tcpPair({ host, port, backlog }: Extract<Listen, { kind: 'tcp' }>): Pair {
  const make = (alone: boolean): number => listenTcp({ host, port, backlog, reusePort: true, alone });
  return {
    async complete(there, made) {
      // It is the first of the group by now, and a would be the second: they can be had anew only with the plugin's next start.
      if (there.a === undefined && there.b !== undefined) return;
      const a = there.a ?? make(true);
      if (there.a === undefined) made('a', a);
      if (there.b !== undefined) return;
      // Before b listens, or the kernel would share out between them as it likes.
      attachWeight(a, 0);
      made('b', make(false));
    },
    steer({ a }, percentOfB) {
      if (a !== undefined) attachWeight(a, percentOfB);
    },
    remove() {},
  };
}
