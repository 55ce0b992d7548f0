/** Directories of declarations, the strongest first, as systemd orders its own (systemd.unit(5)). */
export const PLUGIN_DIRECTORIES = [
  '/etc/bulkhead/plugins',
  '/run/bulkhead/plugins',
  '/usr/lib/bulkhead/plugins',
] as const;

/** Directories of templates, the strongest first. */
export const TEMPLATE_DIRECTORIES = ['/etc/bulkhead/templates', '/usr/lib/bulkhead/templates'] as const;

/** Directories of bulkhead.yaml, the strongest first. */
export const CONFIGURATION_DIRECTORIES = ['/etc/bulkhead', '/run/bulkhead', '/usr/lib/bulkhead'] as const;

const SUFFIX = '.yaml';

/** What one directory holds. */
export interface Listing {
  readonly directory: string;
  /** Files directly in it, with or without '.yaml' ones. */
  readonly files: readonly ListedFile[];
  /** Files of its `NAME.yaml.d` directories, by the name of the directory. */
  readonly dropIns: ReadonlyMap<string, readonly ListedFile[]>;
}

export interface ListedFile {
  readonly name: string;
  /** Empty, or a link to /dev/null: it hides what lower directories have under that name. */
  readonly masks: boolean;
}

export interface Applying {
  /** Paths in the order in which they apply: the file itself, then drop-ins; later ones win. */
  readonly paths: readonly string[];
  /** The path that masks the name altogether; then nothing applies. */
  readonly maskedBy?: string;
}

/**
 * Which files declare `name`, given listings in order of strength. The strongest NAME.yaml counts alone; drop-ins of all
 * directories apply together, sorted by file name, and of equal names the strongest counts.
 */
export function applyingFiles(name: string, listings: readonly Listing[]): Applying {
  const fileName = `${name}${SUFFIX}`;
  const paths: string[] = [];
  for (const { directory, files } of listings) {
    const file = files.find((candidate) => candidate.name === fileName);
    if (file === undefined) continue;
    const path = `${directory}/${fileName}`;
    if (file.masks) return { paths: [], maskedBy: path };
    paths.push(path);
    break;
  }
  const dropIns = new Map<string, string | undefined>();
  for (const { directory, dropIns: byDirectory } of listings) {
    const inside = `${fileName}.d`;
    for (const file of byDirectory.get(inside) ?? []) {
      if (!file.name.endsWith(SUFFIX) || file.name.startsWith('.') || dropIns.has(file.name)) continue;
      dropIns.set(file.name, file.masks ? undefined : `${directory}/${inside}/${file.name}`);
    }
  }
  const sorted = [...dropIns].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [, path] of sorted) if (path !== undefined) paths.push(path);
  return { paths };
}

/** Names that have a NAME.yaml or a NAME.yaml.d, masked or not, sorted. */
export function listedNames(listings: readonly Listing[]): string[] {
  const names = new Set<string>();
  for (const { files, dropIns } of listings) {
    for (const { name } of files)
      if (name.endsWith(SUFFIX) && !name.startsWith('.')) names.add(name.slice(0, -SUFFIX.length));
    for (const directory of dropIns.keys()) {
      const suffix = `${SUFFIX}.d`;
      if (directory.endsWith(suffix)) names.add(directory.slice(0, -suffix.length));
    }
  }
  return [...names].sort();
}
