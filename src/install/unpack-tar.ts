import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { asFailure, Failure } from '../base/failure.ts';
import { ByteSource } from './byte-source.ts';
import { piecesOf } from './copy-directory.ts';
import type { Staging } from './staging.ts';
import { readTar } from './tar-reader.ts';

/** First bytes of what is compressed, in hex, and what undoes it. */
const PACKED: readonly { readonly magic: string; readonly unpack: (fd: number) => AsyncIterable<Buffer> }[] = [
  { magic: '1f8b', unpack: gunzip },
  { magic: 'fd377a585a00', unpack: (fd) => unpackBy('xz', fd) },
  { magic: '28b52ffd', unpack: (fd) => unpackBy('zstd', fd) },
  { magic: '425a68', unpack: (fd) => unpackBy('bzip2', fd) },
];

/**
 * Unpacks an archive of tar(1), compressed or not, whose first bytes are given. It is read here, and not by tar: that
 * writes first, where a name says, and is asked afterwards.
 */
export async function unpackTar(fd: number, head: Buffer, staging: Staging): Promise<void> {
  const unpack = PACKED.find(({ magic }) => head.toString('hex').startsWith(magic))?.unpack ?? piecesOf;
  const source = new ByteSource(unpack(fd));
  try {
    await readTar(source, async (member) => {
      switch (member.kind) {
        case 'directory':
          return staging.addDirectory(member.name);
        case 'link':
          return staging.addLink(member.name, member.target);
        case 'hard-link':
          return staging.addHardLink(member.name, member.target);
        case 'file':
          return staging.addFile(member.name, member.mode, member.size, source.pieces(member.size));
      }
    });
  } finally {
    await source.close();
  }
}

async function* gunzip(fd: number): AsyncGenerator<Buffer> {
  const packed = Readable.from(piecesOf(fd));
  const plain = packed.pipe(createGunzip());
  packed.on('error', (error) => plain.destroy(error));
  try {
    yield* plain;
  } catch (error) {
    throw new Failure('BH420', `it cannot be unpacked: ${asFailure(error).message}`, { cause: error });
  } finally {
    packed.destroy();
  }
}

/** The program reads the archive and writes into a pipe: it needs nothing else, so it runs as nobody. */
async function* unpackBy(program: string, fd: number): AsyncGenerator<Buffer> {
  const words = ['--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs', '--', program, '-dc'];
  const child = spawn('setpriv', words, { stdio: [fd, 'pipe', 'ignore'] });
  const { stdout } = child as typeof child & { stdout: Readable };
  const ended = once(child, 'exit');
  // It is waited for below; until then nobody hears of it.
  ended.catch(() => {});
  try {
    yield* stdout;
    const [status] = await ended;
    if (status === NOT_FOUND) throw new Failure('BH420', `'${program}' is needed to unpack it, and is not installed`);
    if (status !== 0) throw new Failure('BH420', `it cannot be unpacked by '${program}'`);
  } finally {
    child.kill('SIGKILL');
  }
}

/** Exit status of setpriv(1). */
const NOT_FOUND = 127;
