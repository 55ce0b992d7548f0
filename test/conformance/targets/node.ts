/** The plugin that the conformance suite drives, with the SDK for JavaScript: what it does is said in test/conformance. */
import { type Call, Plugin, PluginError } from '../../../src/rpc/plugin/index.ts';

const plugin = new Plugin();
let cancelled = 0;
let streams = 0;
let bumped = 0;

/** Waits, unless nobody waits for the answer any more. */
function pause(call: Call, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const ended = () => {
      clearTimeout(timer);
      if (call.signal.reason.name === 'AbortError') cancelled += 1;
      reject(call.signal.reason);
    };
    const timer = setTimeout(() => {
      call.signal.removeEventListener('abort', ended);
      resolve();
    }, ms);
    if (call.signal.aborted) ended();
    else call.signal.addEventListener('abort', ended, { once: true });
  });
}

plugin.method('echo', (_call, value: unknown) => value);
plugin.method('add', (_call, one: unknown, other: unknown) => {
  if (typeof one !== 'number' || typeof other !== 'number')
    throw new PluginError('bad-params', 'two numbers are wanted');
  return one + other;
});
plugin.method('fail', (_call, code: string, message: string, data: unknown) => {
  throw new PluginError(code, message, data);
});
plugin.method('throw', (_call, text: string) => {
  throw new Error(text);
});
plugin.method('sleep', async (call, ms: number) => {
  await pause(call, ms);
  return 'slept';
});
plugin.method('cancelled', () => cancelled);
plugin.stream('count', async function* (call, n: number, delayMs = 0) {
  streams += 1;
  try {
    for (let number = 0; number < n; number++) {
      if (delayMs > 0) await pause(call, delayMs);
      yield number;
    }
    return n;
  } finally {
    streams -= 1;
  }
});
plugin.stream('forever', async function* (call) {
  streams += 1;
  try {
    for (let number = 0; ; number++) {
      if (call.signal.aborted) return;
      yield number;
    }
  } finally {
    streams -= 1;
  }
});
plugin.method('streams', () => streams);
plugin.method('context', ({ deadlineMs, traceparent, idempotency, greeted }) => ({
  deadline: deadlineMs,
  traceparent,
  idempotency,
  greeted,
}));
plugin.method('bump', () => {
  bumped += 1;
});
plugin.method('bumped', () => bumped);
plugin.method('size', (_call, bytes: Uint8Array) => bytes.length);
plugin.method('bytes', (_call, n: number) => Buffer.alloc(n, 0x62));
plugin.method('save', (_call, name: string, schema: number, bytes: Uint8Array) =>
  plugin.checkpoint(name, { schema }).save(bytes),
);
plugin.method('load', (_call, name: string, schema: number) => plugin.checkpoint(name, { schema }).restore());
plugin.method('accept', async (_call, bytes: Uint8Array) => (await plugin.journal()).accept(bytes));
plugin.method('finish', async (_call, id: Uint8Array) => (await plugin.journal()).finish(id));
plugin.method('replay', async () => {
  const found: Buffer[] = [];
  await (await plugin.journal()).replay((_id, content) => {
    found.push(content);
  });
  return found;
});
plugin.method('note', (call, text: string) => call.note(text));
plugin.method('audit', (call, text: string) => call.audit(text));
plugin.method('flag', (call) => call.progress());
plugin.method('block', (_call, ms: number) => {
  const until = performance.now() + ms;
  while (performance.now() < until);
});
await plugin.serve();
