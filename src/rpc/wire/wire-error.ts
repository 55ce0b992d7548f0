/** Why a connection ends: the codes of `$close`, docs/protocol.md. */
export type CloseCode = 'bad-frame' | 'overloaded';

/** What came is not by docs/protocol.md. Nobody can tell where the next message begins, so the connection has to end. */
export class BadFrame extends Error {
  readonly code = 'bad-frame';
}

/** A value that cannot be sent: it has no form on the wire, or its message would be over the receiver's frame limit. */
export class NotSendable extends Error {
  readonly code: 'not-sendable' | 'too-large';

  constructor(code: 'not-sendable' | 'too-large', message: string) {
    super(message);
    this.code = code;
  }
}
