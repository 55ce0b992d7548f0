import type { SendDatagram } from './sender.ts';

/** Where journald listens for its native protocol (systemd.io, "Native Journal Protocol"). */
export const JOURNAL_SOCKET = '/run/systemd/journal/socket';

/** syslog(3) levels. */
export const PRIORITY = {
  emergency: 0,
  alert: 1,
  critical: 2,
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
} as const;

export type Priority = keyof typeof PRIORITY;

/** A datagram of that size always fits the default socket buffers; a longer field is cut. */
const MAX_FIELD_BYTES = 48 * 1024;
const MAX_ENTRY_BYTES = 128 * 1024;

/** Journal field names: upper case, digits, underscores, beginning with a letter, at most 64. */
const FIELD_NAME = /^[A-Z][A-Z0-9_]{0,63}$/;

/** Further fields by name (`BULKHEAD_PLUGIN`); undefined values are left out. */
export type JournalFields = Readonly<Record<string, string | number | Uint8Array | undefined>>;

export interface JournalOptions {
  readonly sendDatagram: SendDatagram;
  /** Where lines go when journald cannot be reached; gets whole lines. */
  readonly writeLine: (line: string) => void;
  /** SYSLOG_IDENTIFIER, say `bulkheadd`. */
  readonly identifier: string;
  /** Default JOURNAL_SOCKET. */
  readonly socket?: string;
}

/**
 * Writes structured entries to the journal. It never throws and never waits: what journald does not take goes out
 * as a line with a `<N>` prefix, which journald understands on stderr (sd-daemon(3)).
 */
export class Journal {
  readonly #options: JournalOptions;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** @param messageId 128 bits as 32 hex digits; finds the entry in the message catalog. */
  write(priority: Priority, message: string, fields: JournalFields = {}, messageId?: string): void {
    const all: JournalFields = {
      MESSAGE: message,
      PRIORITY: PRIORITY[priority],
      SYSLOG_IDENTIFIER: this.#options.identifier,
      MESSAGE_ID: messageId,
      ...fields,
    };
    try {
      this.#options.sendDatagram(this.#options.socket ?? JOURNAL_SOCKET, encodeEntry(all), []);
    } catch {
      for (const line of message.split('\n')) this.#options.writeLine(`<${PRIORITY[priority]}>${line}`);
    }
  }
}

/**
 * An entry in the native protocol: `NAME=value` lines, and for values with line breaks the name, a line break, the
 * length as 64 bits little-endian, the value. Fields whose names journald would drop are left out; values beyond
 * 48 KiB are cut, and so many fields as exceed 128 KiB in all.
 */
export function encodeEntry(fields: JournalFields): Buffer {
  const parts: Buffer[] = [];
  let size = 0;
  for (const [name, raw] of Object.entries(fields)) {
    if (raw === undefined || !FIELD_NAME.test(name)) continue;
    const value = bytesOf(raw).subarray(0, MAX_FIELD_BYTES);
    const part = value.includes(0x0a) ? binary(name, value) : Buffer.concat([Buffer.from(`${name}=`), value, NEWLINE]);
    size += part.length;
    if (size > MAX_ENTRY_BYTES) break;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

const NEWLINE = Buffer.from('\n');

function binary(name: string, value: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(value.length));
  return Buffer.concat([Buffer.from(`${name}\n`), length, value, NEWLINE]);
}

function bytesOf(value: string | number | Uint8Array): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value));
}
