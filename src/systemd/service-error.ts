import { FAILURES, Failure, type FailureCode } from '../base/failure.ts';

const PREFIX = 'org.bulkhead.Error.';

/** A D-Bus error: its name and its one text. */
export interface ErrorReply {
  readonly name: string;
  readonly text: string;
}

/**
 * What a caller gets to see of something that was thrown: a Failure as `org.bulkhead.Error.BHnnn` with its
 * message and, in a second line, its advice. Anything else is a defect of ours, whose text may tell paths and
 * worse: the caller gets BH406 without it.
 */
export function toErrorReply(thrown: unknown): ErrorReply {
  if (!(thrown instanceof Failure)) {
    return { name: `${PREFIX}BH406`, text: `${FAILURES.BH406.summary}\n${FAILURES.BH406.advice}` };
  }
  return { name: PREFIX + thrown.code, text: `${thrown.message}\n${thrown.advice}` };
}

/**
 * The Failure that a service of ours meant, as its client gets it; any other failure is returned as it is.
 * @param failure what Bus.call() threw.
 * @param member the method that was called.
 */
export function fromErrorReply(failure: Failure, member: string): Failure {
  const name = failure.dbusName;
  const code = name?.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
  if (name === undefined || code === undefined || !isCode(code)) return failure;
  const text = failure.message.startsWith(`${member}: `) ? failure.message.slice(member.length + 2) : failure.message;
  const end = text.lastIndexOf('\n');
  if (end < 0) return new Failure(code, text, { dbusName: name, cause: failure });
  return new Failure(code, text.slice(0, end), { advice: text.slice(end + 1), dbusName: name, cause: failure });
}

function isCode(text: string): text is FailureCode {
  return Object.hasOwn(FAILURES, text);
}
