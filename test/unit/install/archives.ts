import { TAR_END, tarHeader, tarPadding } from '../../../src/record/tar.ts';

/** A member as somebody hostile would write it: any type, any name. */
export interface RawMember {
  readonly name: string;
  readonly type?: string;
  readonly target?: string;
  readonly content?: string | Buffer;
  /** What the header says, whatever comes after it. */
  readonly size?: number;
  readonly mode?: number;
}

/** An archive with these members, and nothing checked. */
export function archive(members: readonly RawMember[], end = true): Buffer {
  const parts = members.flatMap(({ name, type = '0', target = '', content = '', size, mode = 0o644 }) => {
    const body = Buffer.from(content);
    const header = Buffer.from(tarHeader({ name: '', size: size ?? body.length, modified: 0 }));
    header.write(name, 0, 100, 'latin1');
    header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100, 'latin1');
    header.write(type, 156, 1, 'latin1');
    header.write(target, 157, 100, 'latin1');
    header.write('        ', 148, 'latin1');
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return [header, body, Buffer.from(tarPadding(body.length))];
  });
  return Buffer.concat([...parts, ...(end ? [Buffer.from(TAR_END)] : [])]);
}
