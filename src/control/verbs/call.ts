import { Failure } from '../../base/failure.ts';
import { CallError, type PluginClient } from '../../rpc/client/client.ts';
import { requirePluginName } from '../plugin-argument.ts';
import { JSON_OPTION, jsonText, printJson, type Verb, type VerbCall, type World } from '../verb.ts';

const DEFAULT_SECONDS = 30;
const MOST_SECONDS = 86_400;

export const CALL: Verb = {
  name: 'call',
  summary: 'call a method of a plugin, and show what it answers',
  help: [
    'Calls a plugin that declares rpc, as a main service does, and prints the result as JSON. Instead of NAME, a path with a slash in it names the socket of a plugin that was started by hand.',
    'Each PARAMETER is JSON; a word that is none, and does not look as if it were to be, is a string. Bytes in a result are shown as {"base64": "..."}.',
    'With --stream the method is asked for its result in parts, each of which is a line, followed by what the method returns in the end, if it does.',
    'Who may call is decided by owner and mode of the sockets: see rpc in bulkhead-plugin(5).',
  ],
  arguments: [
    { label: 'NAME', kind: 'plugin-or-file', required: true, repeated: false },
    { label: 'METHOD', kind: 'text', required: true, repeated: false },
    { label: 'PARAMETER', kind: 'text', required: false, repeated: true },
  ],
  options: [
    { name: 'stream', short: 's', kind: 'flag', summary: 'ask for the result in parts' },
    {
      name: 'timeout',
      kind: 'count',
      label: 'SECONDS',
      summary: `time for the answer, or for each part of it (${DEFAULT_SECONDS})`,
    },
    JSON_OPTION,
  ],
  supervisor: 'none',
  run,
};

async function run(call: VerbCall, world: World): Promise<0> {
  const [target = '', method = '', ...words] = call.arguments;
  const seconds = call.counts.get('timeout') ?? DEFAULT_SECONDS;
  if (seconds < 1 || seconds > MOST_SECONDS) throw new Failure('BH401', `--timeout is from 1 to ${MOST_SECONDS}`);
  const params = words.map(parameterOf);
  const options = { name: 'bulkheadctl', timeoutMs: 1000 * seconds, slowMs: 1000 * MOST_SECONDS, retries: 0 };
  const client = target.includes('/')
    ? world.connect('by-hand', { ...options, socket: target })
    : world.connect(requirePluginName(target), options);
  const interruption = new AbortController();
  void world.interrupted().then(() => interruption.abort());
  try {
    const { signal } = interruption;
    if (call.flags.has('stream')) await printParts(client, method, params, signal, world);
    else printJson(world, shown(await client.call(method, params, { signal })));
    return 0;
  } catch (error) {
    throw failureOf(error);
  } finally {
    await client.close();
  }
}

async function printParts(
  client: PluginClient,
  method: string,
  params: readonly unknown[],
  signal: AbortSignal,
  world: World,
): Promise<void> {
  const stream = client.stream(method, params, { signal });
  for (;;) {
    const { done, value } = await stream.next();
    if (done !== true || (value !== null && value !== undefined)) world.out.write(`${jsonText(shown(value))}\n`);
    if (done === true) return;
  }
}

function parameterOf(word: string): unknown {
  try {
    return JSON.parse(word) as unknown;
  } catch {
    if (/^\s*[[{"]/.test(word)) throw new Failure('BH401', `'${word}' is not valid JSON`);
    return word;
  }
}

/** JSON has no bytes. */
function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, shown(each)]));
}

function failureOf(error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return new Failure('BH401', error.message);
  if (!(error instanceof CallError)) return error;
  const { incident, begun, code } = error;
  const again = begun === 'no' ? 'it was not begun, so it can be made again' : 'it may have been done';
  const advice = incident === undefined ? again : `see "bulkheadctl incidents show ${incident}"; ${again}`;
  const data = error.data === undefined ? '' : ` ${JSON.stringify(shown(error.data))}`;
  return new Failure('BH433', `${code}: ${error.message}${data}`, { advice, cause: error });
}
