/** What is sent there and back. */
export const PAYLOADS = {
  'bin-100': { title: '100 B binary', bytes: 100, window: 64 },
  'bin-1k': { title: '1 KB binary', bytes: 1024, window: 64 },
  'object-1k': { title: '1 KB object', bytes: 1024, window: 64 },
  'bin-64k': { title: '64 KB binary', bytes: 65_536, window: 64 },
  // 64 of them would be more than anybody keeps under way.
  'bin-1m': { title: '1 MB binary', bytes: 1_048_576, window: 8 },
} as const;

export type Payload = keyof typeof PAYLOADS;

export function isObject(payload: Payload): boolean {
  return payload.startsWith('object');
}

const WORDS =
  'the state of a plugin is what it says of itself and what is seen of it from outside, which is not the same';

/** A conversation as it is sent to a model: about 1 KB as JSON or MessagePack. */
function conversation(): unknown {
  return {
    id: 'a3f2c1d4-5b6e-4f70-8a91-b2c3d4e5f607',
    model: 'small-7b',
    created: 1_764_133_000,
    messages: [
      { role: 'system', content: WORDS },
      { role: 'user', content: `${WORDS}?`, name: 'somebody' },
      { role: 'assistant', content: `${WORDS}. ${WORDS}.`, tool: null },
      { role: 'user', content: `${WORDS}!` },
    ],
    options: { temperature: 0.7, top_p: 0.95, max_tokens: 512, stop: ['\n\n', 'END'], stream: false, seed: 42 },
    usage: { prompt: 211, completion: 87, total: 298, cached: true },
  };
}

export function contentOf(payload: Payload): unknown {
  return isObject(payload) ? conversation() : Buffer.alloc(PAYLOADS[payload].bytes, 0x62);
}
