import { CallError, connect } from '../client/client.ts';

/**
 * Calls one method from a shell: `node call.js SOCKET|PLUGIN METHOD [PARAMETER...]`. For trying a plugin out; a program uses
 * bulkhead/client.
 */

const USAGE = `usage: node call.js SOCKET|PLUGIN METHOD [PARAMETER...]

Calls a plugin: one that was started by hand, by the path of its socket (with a '/' in it), or a running one, by its name.
Parameters are JSON, or strings when they are none. Parts of a stream come a line each, and its result behind them.
`;

/** @returns the exit status: 0, 1 for a call that failed, 2 for a wrong command line. */
export async function callCommand(words: readonly string[]): Promise<number> {
  const [where, method, ...params] = words;
  if (where === undefined || method === undefined || where.startsWith('-')) {
    process.stderr.write(USAGE);
    return 2;
  }
  const plugin = where.includes('/') ? connect('by-hand', { socket: where }) : connect(where);
  try {
    const parts = plugin.stream(method, params.map(parameterOf))[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await parts.next();
      if (done !== true || value !== null) process.stdout.write(`${textOf(value)}\n`);
      if (done === true) return 0;
    }
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const data = error.data === undefined ? '' : ` ${textOf(error.data)}`;
    process.stderr.write(`${error.code}: ${error.message}${data}\n`);
    return 1;
  } finally {
    await plugin.close();
  }
}

function parameterOf(word: string): unknown {
  try {
    return JSON.parse(word);
  } catch {
    return word;
  }
}

/** JSON, with binaries as base64. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  return JSON.stringify(value, (_key, each: unknown) =>
    isBufferJson(each) ? Buffer.from(each.data).toString('base64') : each,
  );
}

/** What a Buffer makes of itself before anybody else is asked. */
function isBufferJson(value: unknown): value is { readonly data: readonly number[] } {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer' && 'data' in value;
}
