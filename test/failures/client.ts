import { connect } from 'node:net';

/** What came of one request. */
export interface Answer {
  /** The body; undefined when the connection ended before there was one. */
  readonly body: string | undefined;
  readonly well: boolean;
  /** performance.now() when the answer, or the end, came. */
  readonly at: number;
}

export interface Request {
  readonly port: number;
  readonly path: string;
  /** How long (ms) its client says that it waits. */
  readonly deadlineMs?: number | undefined;
  /** 32 hexadecimal digits. */
  readonly trace?: string | undefined;
}

/** One request on a connection of its own. Resolves when that has ended, however it did; how long that takes is up to it. */
export function request({ port, path, deadlineMs, trace }: Request): Promise<Answer> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    let text = '';
    const headers = [
      `GET ${path} HTTP/1.1`,
      'Host: test',
      ...(deadlineMs === undefined ? [] : [`Deadline-Ms: ${deadlineMs}`]),
      ...(trace === undefined ? [] : [`Trace: ${trace}`]),
    ];
    socket.write(`${headers.join('\r\n')}\r\n\r\n`);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      const end = text.indexOf('\r\n\r\n');
      resolve({
        body: end < 0 ? undefined : text.slice(end + 4).trim(),
        well: text.startsWith('HTTP/1.1 200 '),
        at: performance.now(),
      });
    });
  });
}
