import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { SandboxStatus } from '../../src/control/api.ts';
import { must, systemctl } from '../support/system.ts';
import type { Scene } from './scene.ts';

/** Breaks something for the sandboxes that are started afterwards. */
export type Break = (scene: Scene) => Promise<Broken>;

export interface Broken {
  repair(): Promise<void>;
  /** What is left to be done when the sandbox runs. */
  readonly started?: (own: SandboxStatus) => Promise<void>;
}

const LIB = '/usr/lib/bulkhead';
const NSPAWN = '/usr/bin/systemd-nspawn';
const BROKEN = fileURLToPath(new URL('../../../native/test', import.meta.url));

/** Puts a program in the place of an installed one, which is kept beside it; those that run keep running. */
function inPlaceOf(path: string, put: (path: string, kept: string) => void): () => void {
  const kept = `${path}.kept-by-test`;
  if (existsSync(kept)) throw new Error(`'${kept}' is there already: something was not repaired`);
  renameSync(path, kept);
  try {
    put(path, kept);
  } catch (thrown) {
    renameSync(kept, path);
    throw thrown;
  }
  return () => renameSync(kept, path);
}

/** An init of which one step does nothing, or too much; see `broken/init`. */
export function init(name: string): Break {
  return async () => {
    const repair = inPlaceOf(`${LIB}/plugin-init`, (path) => copyFileSync(`${BROKEN}/broken-init/${name}`, path));
    return { repair: async () => repair() };
  };
}

/** The same with the spawner, which is started anew, with these settings of its unit. */
export function spawner(name: string, ...settings: readonly string[]): Break {
  return async () => {
    const directory = '/run/systemd/system/bulkhead-spawner.service.d';
    const repair = inPlaceOf(`${LIB}/plugin-spawner`, (path) => copyFileSync(`${BROKEN}/broken-spawner/${name}`, path));
    mkdirSync(directory);
    writeFileSync(`${directory}/broken.conf`, `[Service]\n${settings.join('\n')}\n`);
    await systemctl('daemon-reload');
    await systemctl('restart', 'bulkhead-spawner');
    return {
      repair: async () => {
        repair();
        rmSync(directory, { recursive: true });
        await systemctl('daemon-reload');
        await systemctl('restart', 'bulkhead-spawner');
      },
    };
  };
}

export interface OtherWords {
  /** A pattern of sh(1) for one word, and the words that come in its place, as sh(1) has them. */
  readonly words?: Readonly<Record<string, string>> | ((scene: Scene) => Readonly<Record<string, string>>);
  /** More of its environment, which systemd-nspawn(1) takes orders from. */
  readonly environment?: string;
}

/** A systemd-nspawn that is called with other words than planned. */
export function nspawn({ words = {}, environment = '' }: OtherWords): Break {
  return async (scene) => {
    const arms = Object.entries(typeof words === 'function' ? words(scene) : words);
    const repair = inPlaceOf(NSPAWN, (path, kept) => {
      const script = [
        '#!/bin/sh',
        'for word do',
        '  shift',
        '  case $word in',
        ...arms.map(([pattern, instead]) => `    ${pattern}) set -- "$@" ${instead} ;;`),
        '    *) set -- "$@" "$word" ;;',
        '  esac',
        'done',
        `${environment} exec ${kept} "$@"`,
      ];
      writeFileSync(path, `${script.join('\n')}\n`);
      chmodSync(path, 0o755);
    });
    return { repair: async () => repair() };
  };
}

/** Settings of systemd for the sandboxes of the hostile plugin, over those that were planned. */
export function unitSettings(...lines: readonly string[]): Break {
  return async ({ kind, plugin }) => {
    const type = kind === 'scope' ? 'scope' : 'service';
    const directory = `/run/systemd/system/plugin-${plugin}-.${type}.d`;
    mkdirSync(directory, { recursive: true });
    writeFileSync(`${directory}/broken.conf`, `[${kind === 'scope' ? 'Scope' : 'Service'}]\n${lines.join('\n')}\n`);
    await systemctl('daemon-reload');
    return {
      repair: async () => {
        rmSync(directory, { recursive: true });
        await systemctl('daemon-reload');
      },
    };
  };
}

/** Calls that a list of seccomp allows beside its own. */
export function list(name: string, ...lines: readonly string[]): Break {
  return async () => {
    const repair = inPlaceOf(`${LIB}/seccomp/${name}.list`, (path, kept) =>
      writeFileSync(path, `${readFileSync(kept, 'utf8')}${lines.join('\n')}\n`),
    );
    return { repair: async () => repair() };
  };
}

/** Writes a file that a broken program reads. */
export function told(path: string, text: (scene: Scene) => string): Break {
  return async (scene) => {
    writeFileSync(path, text(scene));
    return { repair: async () => rmSync(path) };
  };
}

/** Done by root of the host to the sandbox that runs. */
export function live(command: (own: SandboxStatus) => readonly [string, ...string[]]): Break {
  return async () => ({
    repair: async () => undefined,
    started: async (own) => {
      await must(...command(own));
    },
  });
}

/** Several at once, where two layers do the same. */
export function both(...breaks: readonly Break[]): Break {
  return async (scene) => {
    const broken: Broken[] = [];
    for (const one of breaks) broken.unshift(await one(scene));
    return {
      repair: async () => {
        for (const { repair } of broken) await repair();
      },
    };
  };
}
