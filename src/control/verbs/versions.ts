import { formatBytes } from '../../base/bytes.ts';
import { asFailure, Failure } from '../../base/failure.ts';
import { printable } from '../../base/printable.ts';
import { isVersionName } from '../../base/version-name.ts';
import type { VersionNews } from '../manager.ts';
import { renderVersions } from '../render/versions-view.ts';
import { JSON_OPTION, PLUGIN, printJson, type Verb, type World } from '../verb.ts';

const NEEDED =
  'Never removed is what is live, what was before and a rollback leads to, what a change of version is about, and what a sandbox runs.';
const ROOT = 'Needs root, and no supervisor; one that runs is told, and has it among its events.';

export const INSTALL: Verb = {
  name: 'install',
  summary: 'install a version of a plugin, which never changes afterwards',
  help: [
    'SOURCE is a directory, an archive of tar(1), plain or compressed by gzip, xz, zstd or bzip2, or an image (squashfs or erofs). It is copied to /opt/plugin/NAME/VERSION, whole or not at all, also when power fails. Nobody can write to it then: files have mode 444 or 555, and belong to root.',
    'Its digest is written down, and the version is compared with it before it is used: at the start of the plugin and before an upgrade. What was changed does not run.',
    'Refused are paths and links that lead out of it, device nodes, pipes and sockets, more than 200000 files and more than 64G of content. Set-uid bits, owners and times are not kept. A link to an interpreter of the host leads out of it, too: "python3 -m venv --copies" makes none.',
    'The same content under the same name again is fine; other content is refused. Afterwards versions that versions.keep of the declaration does not keep are removed.',
    NEEDED,
    ROOT,
  ],
  arguments: [PLUGIN, { label: 'SOURCE', kind: 'text', required: true, repeated: false }],
  options: [
    { name: 'version', kind: 'text', label: 'VERSION', summary: 'the name of the version; it has to be given' },
    JSON_OPTION,
  ],
  supervisor: 'asked',
  async run(call, world) {
    const [plugin = '', source = ''] = call.arguments;
    const version = call.texts.get('version');
    if (version === undefined) throw new Failure('BH401', "'install' needs '--version VERSION'");
    if (!isVersionName(version))
      throw new Failure('BH401', `'${printable(version, 64)}' cannot be the name of a version`, {
        advice: "1 to 64 letters, digits, '.', '_', '+', '~' and '-', beginning with a letter or digit",
      });
    const { record, changed } = await world.versions.install(plugin, source, version, (step) => {
      if (world.err.interactive) world.err.write(step === 'done' ? '\r\x1b[K' : `\r\x1b[K${step} ...`);
    });
    if (changed) await told(world, plugin, { version, what: 'installed' });
    const removed = world.versions.removeOld(plugin);
    for (const each of removed) await told(world, plugin, { version: each, what: 'removed' });
    if (call.flags.has('json')) printJson(world, { plugin, changed, ...record, removed });
    else {
      const { digest, files, bytes } = record;
      const content = `sha256 ${digest.slice(0, 16)}, ${files} entries, ${formatBytes(bytes)}`;
      world.out.write(`${plugin} ${version} ${changed ? 'is installed' : 'was installed already'}: ${content}\n`);
      if (removed.length > 0) world.out.write(`Removed: ${removed.join(', ')}\n`);
    }
    return 0;
  },
};

export const VERSIONS: Verb = {
  name: 'versions',
  summary: 'list the installed versions of a plugin',
  help: [
    'Shows each version with what it is to the plugin (live, previous, under way, running; failed when an upgrade to it was undone), its digest, its size, and when and by whom it was installed. One that was copied by hand has no digest: nobody can say whether it was changed. bulkhead.yaml says whether such versions may run (versions.unrecorded).',
    'Needs root, and no supervisor.',
  ],
  arguments: [PLUGIN],
  options: [JSON_OPTION],
  supervisor: 'none',
  async run(call, world) {
    const [plugin = ''] = call.arguments;
    const versions = world.versions.list(plugin);
    if (versions.length === 0 && !(await world.declaredNames()).includes(plugin))
      throw new Failure('BH404', `'${plugin}'`);
    if (call.flags.has('json')) printJson(world, { plugin, versions });
    else world.out.write(renderVersions(versions, world.out));
    return 0;
  },
};

export const REMOVE: Verb = {
  name: 'remove',
  summary: 'remove an installed version of a plugin, or the old ones',
  help: [
    'Removes VERSION, also one that was copied by hand; with --old all that versions.keep of the declaration does not keep, which happens by itself after each installation and each upgrade. A version that was not installed by bulkhead is never an old one.',
    NEEDED,
    ROOT,
  ],
  arguments: [PLUGIN, { label: 'VERSION', kind: 'version', required: false, repeated: false }],
  options: [{ name: 'old', kind: 'flag', summary: 'remove what versions.keep does not keep' }, JSON_OPTION],
  supervisor: 'asked',
  async run(call, world) {
    const [plugin = '', version] = call.arguments;
    if ((version === undefined) !== call.flags.has('old'))
      throw new Failure('BH401', "'remove' needs either a VERSION or '--old'");
    if (version !== undefined) world.versions.remove(plugin, version);
    const removed = version === undefined ? world.versions.removeOld(plugin) : [version];
    for (const each of removed) await told(world, plugin, { version: each, what: 'removed' });
    if (call.flags.has('json')) printJson(world, { plugin, removed });
    else world.out.write(removed.length === 0 ? 'Nothing is old.\n' : `Removed: ${removed.join(', ')}\n`);
    return 0;
  },
};

/** What is done is done, whoever hears of it. */
async function told(world: World, plugin: string, news: VersionNews): Promise<void> {
  try {
    await (await world.manager()).noteVersion(plugin, news);
  } catch (thrown) {
    const failure = asFailure(thrown);
    world.versions.tell(plugin, `version ${news.version} ${news.what}`);
    if (failure.code !== 'BH402') world.err.write(`The supervisor could not be told, ignoring: ${failure.line}\n`);
  }
}
