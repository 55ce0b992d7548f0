import type { WriteStream } from 'node:tty';

/** Where a verb writes to. */
export interface Terminal {
  write(text: string): void;
  /** Whether somebody watches: progress may be redrawn in place. */
  readonly interactive: boolean;
  readonly colour: boolean;
  /** Columns that fit; Infinity when nobody watches, so that scripts get whole values. */
  readonly columns: number;
  /** Lines of the screen; Infinity when nobody watches. */
  readonly rows: number;
}

/** Narrower than this, tables are laid out as if it were this wide and the terminal wraps them. */
const NARROWEST = 20;

/**
 * Standard output or error. Colours need a terminal, a TERM other than `dumb`, and NO_COLOR unset or empty
 * (https://no-color.org). When the reader has gone (EPIPE: `bulkheadctl list | head -1`) the program ends quietly with
 * status 0, because nobody is left to tell.
 */
export function processTerminal(stream: NodeJS.WriteStream, environment: NodeJS.ProcessEnv): Terminal {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const interactive = stream.isTTY === true;
  const plain = (environment.NO_COLOR ?? '') !== '' || environment.TERM === 'dumb';
  return {
    write: (text) => void stream.write(text),
    interactive: interactive && environment.TERM !== 'dumb',
    colour: interactive && !plain,
    get rows() {
      return interactive ? (stream as WriteStream).rows || 24 : Number.POSITIVE_INFINITY;
    },
    get columns() {
      return interactive ? Math.max(NARROWEST, (stream as WriteStream).columns || 80) : Number.POSITIVE_INFINITY;
    },
  };
}
