/** Servers that send back what comes, of those beside whom ours is measured: `raw`, `grpc` or `http`, at a path. */
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import {
  type deserialize,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  type serialize,
} from '@grpc/grpc-js';

const bytes = (value: unknown): Buffer => value as Buffer;
const json = {
  to: (value: unknown): Buffer => Buffer.from(JSON.stringify(value)),
  from: (it: Buffer) => JSON.parse(String(it)) as unknown,
};

const SERVERS: Readonly<Record<string, (path: string) => void>> = {
  /** Frames are taken apart, as any protocol would have to, and what came in one turn goes in one write. */
  raw: (path) => {
    createServer((socket) => {
      let parts: Buffer[] = [];
      let [length, wanted] = [0, 4];
      socket.on('data', (chunk: Buffer) => {
        parts.push(chunk);
        length += chunk.length;
        if (length < wanted) return;
        const rest = parts.length === 1 ? chunk : Buffer.concat(parts);
        let at = 0;
        for (;;) {
          wanted = rest.length - at < 4 ? 4 : 4 + rest.readUInt32BE(at);
          if (rest.length - at < wanted) break;
          at += wanted;
        }
        if (at > 0) socket.write(rest.subarray(0, at));
        parts = [rest.subarray(at)];
        length = rest.length - at;
      });
    }).listen(path);
  },

  grpc: (path) => {
    const server = new Server();
    const unary = { requestStream: false, responseStream: false } as const;
    const echo = (call: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<unknown>): void =>
      done(null, call.request);
    const of = (name: string, to: serialize<unknown>, from: deserialize<unknown>) => ({
      ...unary,
      path: `/bench.Echo/${name}`,
      requestSerialize: to,
      requestDeserialize: from,
      responseSerialize: to,
      responseDeserialize: from,
    });
    server.addService(
      { Bytes: of('Bytes', bytes, bytes), Object: of('Object', json.to, json.from) },
      { Bytes: echo, Object: echo },
    );
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) => {
      if (error !== null) throw error;
    });
  },

  http: (path) => {
    createHttpServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const body = Buffer.concat(parts);
        // An object is one on this side, too.
        const answer = request.url === '/object' ? json.to(json.from(body)) : body;
        response.setHeader('Content-Length', answer.length);
        response.end(answer);
      });
    }).listen(path);
  },
};

const [, , how = '', path = ''] = process.argv;
const serve = SERVERS[how];
if (serve === undefined) throw new Error(`'${how}' is no server`);
serve(path);
