import { existsSync, mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { readFileIfThere, replaceFile } from '../kernel/files.ts';
import { parseStoredIncident, type StoredIncident } from './stored-incident.ts';

/** What a bundle is known by: without it, a directory is a bundle that was never finished or is half removed. */
const INCIDENT_FILE = 'incident.json';

export interface BundleFile {
  readonly name: string;
  readonly bytes: number;
}

/** One incident's directory; root's alone. */
export class IncidentBundle {
  readonly directory: string;

  constructor(root: string, id: string) {
    this.directory = `${root}/${id}`;
  }

  path(file: string): string {
    return `${this.directory}/${file}`;
  }

  get incidentFile(): string {
    return this.path(INCIDENT_FILE);
  }

  get exists(): boolean {
    return existsSync(this.incidentFile);
  }

  /** Makes the directory if need be. Nobody waits for the disk: the recovery comes next. */
  write(stored: StoredIncident): void {
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    replaceFile(this.incidentFile, `${JSON.stringify(stored, null, 1)}\n`);
  }

  /** Undefined when there is none, or it cannot be read. */
  read(): StoredIncident | undefined {
    const text = readFileIfThere(this.incidentFile);
    return text === undefined ? undefined : parseStoredIncident(text);
  }

  files(): BundleFile[] {
    try {
      return readdirSync(this.directory)
        .filter((name) => !name.endsWith('.new'))
        .sort()
        .map((name) => ({ name, bytes: statSync(this.path(name)).size }));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  size(): number {
    return this.files().reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** What it is known by goes first, so that half of it is no bundle. */
  async remove(): Promise<void> {
    try {
      unlinkSync(this.incidentFile);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}
