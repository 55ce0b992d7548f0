import { Socket } from 'node:net';
import type { Owned } from '../base/clock.ts';
import { LineSplitter } from './line-splitter.ts';
import type { Report } from './report.ts';
import { LONGEST_REPORT_BYTES, parseReport } from './report.ts';

/**
 * Reads init's reports. A second copy of the descriptor lies in systemd's fd store, so that what is written while
 * the supervisor is away waits in the pipe.
 *
 * @param fd read end, taken over.
 * @param ended called once, when every holder of the write end is gone.
 */
export function readReports(fd: number, report: (report: Report) => void, ended: () => void): Owned {
  const lines = new LineSplitter(LONGEST_REPORT_BYTES);
  const pipe = new Socket({ fd, readable: true, writable: false });
  pipe.on('data', (chunk: Buffer) => {
    for (const line of lines.push(chunk) ?? []) {
      const parsed = parseReport(line);
      if (parsed !== undefined) report(parsed);
    }
  });
  pipe.on('error', () => pipe.destroy());
  pipe.on('close', ended);
  return {
    release() {
      pipe.removeListener('close', ended);
      pipe.destroy();
    },
  };
}
