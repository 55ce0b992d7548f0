import type { Clock, Owned } from '../base/clock.ts';
import type { ConnectOptions, PluginClient } from '../rpc/client/client.ts';
import type { PlanReport } from './api.ts';
import type { DoctorFacts } from './doctor-checks.ts';
import type { ExitStatus } from './exit-status.ts';
import type { Manager } from './manager.ts';
import type { CheckReport } from './offline.ts';
import type { Terminal } from './terminal.ts';
import type { VersionStore } from './version-store.ts';

/** A positional argument; its kind tells the shells what to offer. */
export interface ArgumentSpec {
  /** As the help shows it: `NAME`. */
  readonly label: string;
  readonly kind: 'plugin' | 'plugin-or-file' | 'version' | 'verb' | 'word' | 'text';
  /** Of a `word`: those that there are. */
  readonly words?: readonly string[];
  readonly required: boolean;
  readonly repeated: boolean;
}

export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** `flag` takes no value; `count` takes a whole number from 0, `text` anything, `file` a path. */
  readonly kind: 'flag' | 'count' | 'text' | 'file';
  /** As the help shows the value: `N`. */
  readonly label?: string;
  readonly summary: string;
}

/** One verb of bulkheadctl. Help, completions and the man page are generated from these fields. */
export interface Verb {
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** Paragraphs for --help and the man page. */
  readonly help: readonly string[];
  readonly arguments: readonly ArgumentSpec[];
  readonly options: readonly OptionSpec[];
  /** `needed`: fails with 69 without it; `asked`: does what it can without; `none`: never asks. */
  readonly supervisor: 'needed' | 'asked' | 'none';
  /** Not shown in help; for the completions. */
  readonly hidden?: true;
  run(call: VerbCall, world: World): Promise<ExitStatus>;
}

/** What the user asked for, checked against the verb's tables. */
export interface VerbCall {
  readonly arguments: readonly string[];
  readonly flags: ReadonlySet<string>;
  readonly counts: ReadonlyMap<string, number>;
  readonly texts: ReadonlyMap<string, string>;
}

/** Everything outside that a verb may touch; the tests bring their own. */
export interface World {
  readonly out: Terminal;
  readonly err: Terminal;
  readonly clock: Clock;
  /** Connects to the supervisor once, or throws Failure BH402. `main` releases it. */
  manager(): Promise<Manager>;
  /** Names of the plugins that have a declaration, read from the disk. */
  declaredNames(): Promise<readonly string[]>;
  /** Names of the plugin's installed versions, read from the disk. */
  installedVersions(plugin: string): Promise<readonly string[]>;
  /** Checks plugins by name and files by path (anything with a slash or ending in .yaml); no argument means all. */
  check(targets: readonly string[]): Promise<CheckReport>;
  /** A plan from the declaration alone; nothing is compared. Failure BH404 when there is no declaration. */
  planOffline(name: string): Promise<PlanReport>;
  /** Calls a plugin; whoever asks for it closes it. */
  connect(plugin: string, options: ConnectOptions): PluginClient;
  readonly safeMode: SafeModeSwitch;
  readonly versions: VersionStore;
  gatherDoctorFacts(): Promise<DoctorFacts>;
  /** Runs a program in the foreground and returns its exit status. */
  run(program: string, args: readonly string[]): Promise<number>;
  /** Lets polkit ask for a password on the terminal until released. */
  passwordAgent(): Promise<Owned>;
  /** Resolves when the user asks to end (SIGINT, SIGTERM). */
  interrupted(): Promise<void>;
}

/** Whether any plugin may start on this host. */
export interface SafeModeSwitch {
  /** Why none may; undefined while safe mode is off. */
  reason(): string | undefined;
  /** Throws Failure BH403 for others than root; so does the next one. */
  turnOn(): void;
  turnOff(): void;
}

export const JSON_OPTION: OptionSpec = { name: 'json', kind: 'flag', summary: 'print JSON for scripts' };

export const PLUGIN: ArgumentSpec = { label: 'NAME', kind: 'plugin', required: true, repeated: false };
export const OPTIONAL_PLUGIN: ArgumentSpec = { ...PLUGIN, required: false };

/** JSON on a terminal is indented for reading; in a pipe too, so that a saved file can be read. */
export function printJson(world: World, value: unknown): void {
  world.out.write(`${jsonText(value, 2)}\n`);
}

/** JSON whose strings, which may be a plugin's, cannot move the cursor of a terminal or turn its text around. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    /[\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
