import { connect as connectSocket } from 'node:net';
import { credentials, Client as GrpcClient } from '@grpc/grpc-js';
import { Client as HttpClient } from 'undici';
import { connect } from '../../../src/rpc/client/client.ts';
import { contentOf, isObject, type Payload } from './rpc-payloads.ts';

/** Makes one call, and resolves when its answer is there. */
export type Call = () => Promise<unknown>;

export interface Caller {
  call(payload: Payload): Call;
}

const GRPC_BYTES = (value: Buffer): Buffer => value;
const GRPC_JSON = {
  to: (value: unknown): Buffer => Buffer.from(JSON.stringify(value)),
  from: (bytes: Buffer) => JSON.parse(String(bytes)) as unknown,
};

/** Ways to call, each as its library is meant to be used. All keep one connection. */
export const CALLERS: Readonly<Record<string, (path: string) => Promise<Caller>>> = {
  /** Length-prefixed bytes, all of a turn in one write, and a promise for each: what Node.js itself takes. */
  raw: async (path) => {
    const socket = connectSocket(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    const waiting: ((bytes: Buffer) => void)[] = [];
    let out: Buffer[] = [];
    let chunks: Buffer[] = [];
    let [length, wanted] = [0, 4];
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length < wanted) return;
      let rest = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      for (;;) {
        wanted = rest.length < 4 ? 4 : 4 + rest.readUInt32BE(0);
        if (rest.length < wanted) break;
        waiting.shift()?.(rest.subarray(4, wanted));
        rest = rest.subarray(wanted);
      }
      chunks = [rest];
      length = rest.length;
    });
    return {
      call: (payload) => {
        const body = contentOf(payload) as Buffer;
        return () =>
          new Promise((resolve) => {
            waiting.push(resolve);
            const head = Buffer.allocUnsafe(4);
            head.writeUInt32BE(body.length);
            if (out.length === 0)
              process.nextTick(() => {
                const all = Buffer.concat(out);
                out = [];
                socket.write(all);
              });
            out.push(head, body);
          });
      },
    };
  },

  ours: async (path) => {
    const client = connect('bench', { socket: path, timeoutMs: 60_000, slowMs: 60_000, retries: 0 });
    await client.ready({ timeoutMs: 20_000 });
    return {
      call: (payload) => {
        const params = [contentOf(payload)];
        return () => client.call('echo', params);
      },
    };
  },

  grpc: async (path) => {
    const client = new GrpcClient(`unix:${path}`, credentials.createInsecure());
    return {
      call: (payload) => {
        const value = contentOf(payload);
        if (isObject(payload))
          return () =>
            new Promise((resolve, reject) => {
              client.makeUnaryRequest('/bench.Echo/Object', GRPC_JSON.to, GRPC_JSON.from, value, (error, answer) =>
                error === null ? resolve(answer) : reject(error),
              );
            });
        return () =>
          new Promise((resolve, reject) => {
            client.makeUnaryRequest('/bench.Echo/Bytes', GRPC_BYTES, GRPC_BYTES, value as Buffer, (error, answer) =>
              error === null ? resolve(answer) : reject(error),
            );
          });
      },
    };
  },

  http: async (path) => {
    const client = new HttpClient('http://localhost', { socketPath: path, pipelining: 64 });
    const ask = { path: '/bytes', method: 'POST', idempotent: true } as const;
    return {
      call: (payload) => {
        const value = contentOf(payload);
        if (isObject(payload))
          return async () => {
            const { body } = await client.request({ ...ask, path: '/object', body: JSON.stringify(value) });
            return body.json();
          };
        return async () => {
          const { body } = await client.request({ ...ask, body: value as Buffer });
          return body.arrayBuffer();
        };
      },
    };
  },
};
