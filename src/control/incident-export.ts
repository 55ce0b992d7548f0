import { createReadStream } from 'node:fs';
import { open, stat, unlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { asFailure, Failure } from '../base/failure.ts';
import { IncidentBundle } from '../record/incident-bundle.ts';
import { INCIDENT_DIRECTORY } from '../record/incidents.ts';
import { TAR_END, tarHeader, tarPadding } from '../record/tar.ts';

/**
 * Writes the bundle into a new .tar.gz, and returns its name. The archive is made here: no name that has to do with a
 * plugin gets to a shell or to another program.
 * @throws Failure BH408 for an incident that is not there, BH403 for who may not read it, BH601 for a file in the way
 */
export async function exportIncident(id: string, file: string, directory = INCIDENT_DIRECTORY): Promise<string> {
  const bundle = new IncidentBundle(directory, id);
  await requireReadable(bundle.incidentFile, id);
  const target = await open(file, 'wx', 0o600).catch((error: unknown) => {
    throw new Failure('BH601', `'${file}' cannot be written: ${asFailure(error).message}`);
  });
  try {
    await pipeline(Readable.from(archive(bundle, id)), createGzip(), target.createWriteStream());
  } catch (error) {
    await unlink(file);
    throw new Failure('BH601', `'${file}' cannot be written: ${asFailure(error).message}`);
  }
  return file;
}

async function requireReadable(file: string, id: string): Promise<void> {
  try {
    await stat(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES') throw new Failure('BH403', 'incidents are exported by root', { advice: 'use sudo' });
    throw new Failure('BH408', `'${id}'`);
  }
}

async function* archive(bundle: IncidentBundle, id: string): AsyncGenerator<Uint8Array> {
  for (const { name, bytes: size } of bundle.files()) {
    const path = bundle.path(name);
    const modified = (await stat(path)).mtimeMs / 1000;
    yield tarHeader({ name: archiveName(id, name), size, modified });
    // What is added meanwhile, to a bundle that is being filled, would not fit its header.
    let sent = 0;
    if (size > 0) {
      for await (const chunk of createReadStream(path, { end: size - 1 })) {
        sent += (chunk as Buffer).length;
        yield chunk as Buffer;
      }
    }
    if (sent < size) throw new Error(`'${name}' became shorter while it was read`);
    yield tarPadding(size);
  }
  yield TAR_END;
}

/** A header has room for 100 bytes; names of core dumps are longer than that with the id of the incident before them. */
function archiveName(id: string, name: string): string {
  const whole = `${id}/${name}`;
  return whole.length <= 100 ? whole : name.slice(0, 100);
}
