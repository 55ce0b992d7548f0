import type { FailureCode } from '../base/failure.ts';
import type { Place, Problem } from '../base/problem.ts';
import type { DeclarationText } from './declaration.ts';
import { isFreeMap, isSetting, keyFacts } from './keys.ts';
import { splitWords, type Word } from './split-words.ts';
import { type MapNode, mapNode, quoteValue, type ScalarNode, type TreeNode } from './tree.ts';
import { type Assignment, readUnitSection } from './unit-lines.ts';
import { unknownKey } from './unknown-key.ts';
import { LONGEST_TEXT, MOST_PROBLEMS, type ParsedText } from './yaml-tree.ts';

/** The section of `plugin@NAME.service` and its drop-ins that declares a plugin; systemd ignores sections with "X-". */
export const UNIT_SECTION = 'X-Plugin';

/**
 * Reads the [X-Plugin] sections of a unit file and its drop-ins, in order, as one: like systemd, which reads them as if
 * they were one file. The fields are those of the YAML form:
 *
 * - the key is the dotted key, exactly as in YAML: `limits.memory=2G`, `recovery.budget.restarts=3`;
 * - `exec=` is split into words as ExecStart= is; the last one counts;
 * - `template=` and `capabilities=` are split, too, and add to the list;
 * - `environment=` takes one or more `NAME=value` words, and adds;
 * - `listen=tcp:ADDRESS:PORT` or `listen=unix:/PATH` adds a socket; `name=`, `backlog=`, `mode=`, `user=` and `group=`
 *   may follow as words;
 * - `limits.io=/PATH read=50M write=10M` adds limits for a disk; the words after the path are the keys of YAML;
 * - `credentials=` takes `NAME:PATH` words, or `NAME:PATH:encrypted`, and adds;
 * - `devices=` takes `PATH` or `PATH:ACCESS` words, `view.tmpfs=` `PATH` or `PATH:SIZE` words, and both add;
 * - `recovery.CLASS=` takes the steps of the chain as words; `health.PROBE.command=`, `upgrade.check=` and
 *   `upgrade.canary=` words as `exec=` does; steps with settings are for YAML;
 * - `schedule=recycle 17 3 * * *`, an action and its time, adds;
 * - an empty value takes back what was said before, in YAML files and templates, too; the default holds again;
 * - everything else is the text after '=', without quotes. Specifiers (%i) and variables are not expanded.
 */
export function readSections(texts: readonly DeclarationText[]): ParsedText {
  const reader = new SectionReader();
  for (const { file, text } of texts) {
    if (text.length > LONGEST_TEXT) {
      reader.add(
        'BH112',
        { file, line: 1, column: 1 },
        `the text has ${text.length} characters, ${LONGEST_TEXT} are allowed`,
      );
      continue;
    }
    const section = readUnitSection(file, text, UNIT_SECTION);
    reader.problems.push(...section.problems.slice(0, MOST_PROBLEMS));
    if (section.present) reader.root ??= mapNode({ file, line: 1, column: 1 });
    for (const assignment of section.assignments) {
      if (reader.problems.length >= MOST_PROBLEMS) break;
      reader.assign(assignment);
    }
  }
  const { root, problems, broken } = reader;
  return { ...(root === undefined ? {} : { tree: root }), problems, broken };
}

class SectionReader {
  root: MapNode | undefined;
  readonly problems: Problem[] = [];
  readonly broken: string[] = [];

  add(code: FailureCode, place: Place, message: string, hint?: string): void {
    if (this.problems.length >= MOST_PROBLEMS) return;
    this.problems.push({ code, place, message, ...(hint === undefined ? {} : { hint }) });
  }

  assign(assignment: Assignment): void {
    const { key, keyPlace, value, placeAt } = assignment;
    const facts = keyFacts(key);
    if (facts === undefined || !isSetting(facts)) {
      this.#refuseKey(key, keyPlace);
      return;
    }
    if (value === '') {
      const reset: TreeNode = isFreeMap(key)
        ? mapNode(keyPlace, true)
        : { kind: 'scalar', place: keyPlace, value: null, source: '' };
      this.#put(key, keyPlace, reset);
      return;
    }
    if (key === 'listen') this.#addSocket(assignment);
    else if (key === 'limits.io') this.#addDisk(assignment);
    else if (key === 'environment') this.#addVariables(assignment);
    else if (key === 'credentials') this.#addCredentials(assignment);
    else if (key === 'view.tmpfs') this.#addPaths(assignment, 'size');
    else if (key === 'devices') this.#addPaths(assignment, 'access');
    else if (key === 'schedule') this.#addScheduled(assignment);
    else if (facts.types.includes('array')) this.#addWords(assignment);
    else this.#put(key, keyPlace, scalar(value, placeAt(0), facts.types));
  }

  #refuseKey(key: string, place: Place): void {
    const group = keyFacts(key);
    const [, map, name] = /^(environment|credentials)\.(.+)$/.exec(key) ?? [];
    if (group !== undefined && !group.key.includes('[]')) {
      this.add('BH103', place, `'${key}' is a group of keys`, `write '${key}.KEY=value'`);
    } else if (map !== undefined && name !== undefined) {
      const shown = quoteValue(name).slice(1, -1);
      const hint = map === 'environment' ? `write 'environment=${shown}=value'` : `write 'credentials=${shown}:PATH'`;
      this.add('BH102', place, `unknown key ${quoteValue(key)}`, hint);
    } else {
      const dot = key.lastIndexOf('.');
      const parent = key.slice(0, Math.max(dot, 0));
      const known = dot > 0 && keyFacts(parent)?.types.includes('object') === true;
      const { problem, meant } = known ? unknownKey(place, parent, key.slice(dot + 1)) : unknownKey(place, '', key);
      this.problems.push(problem);
      if (meant !== undefined) this.broken.push(meant);
    }
  }

  #addWords(assignment: Assignment): void {
    const { key, keyPlace, placeAt } = assignment;
    const words = this.#split(assignment);
    if (words === undefined) return;
    const separator = words.find(({ text }) => text === ';');
    if (key === 'exec' && separator !== undefined) {
      this.add('BH104', placeAt(separator.offset), "'exec' holds one command, ';' begins another one");
      this.broken.push(key);
      return;
    }
    const items = words.map(({ text, offset }) => scalar(text, placeAt(offset), ['string']));
    const before = /^(?:exec$|recovery\.|health\.|upgrade\.)/.test(key) ? [] : this.#itemsOf(key);
    this.#put(key, keyPlace, { kind: 'list', place: placeAt(0), items: [...before, ...items] });
  }

  #addVariables(assignment: Assignment): void {
    const { key, keyPlace, placeAt } = assignment;
    const root = this.#rootAt(keyPlace);
    const present = root.entries.get(key)?.value;
    const map = present?.kind === 'map' ? present : mapNode(placeAt(0));
    for (const { text, offset } of this.#split(assignment) ?? []) {
      const place = placeAt(offset);
      const equals = text.indexOf('=');
      if (equals < 1) this.add('BH104', place, `${quoteValue(text)} is not of the form 'NAME=value'`);
      else
        map.entries.set(text.slice(0, equals), {
          keyPlace: place,
          value: scalar(text.slice(equals + 1), place, ['string']),
        });
    }
    root.entries.set(key, { keyPlace, value: map });
  }

  #addCredentials(assignment: Assignment): void {
    const { key, keyPlace, placeAt } = assignment;
    const root = this.#rootAt(keyPlace);
    const present = root.entries.get(key)?.value;
    const map = present?.kind === 'map' ? present : mapNode(placeAt(0));
    for (const { text, offset } of this.#split(assignment) ?? []) {
      const place = placeAt(offset);
      const [, name, path, encrypted] = /^([^:]+):(.+?)(:encrypted)?$/s.exec(text) ?? [];
      if (name === undefined || path === undefined) {
        this.add('BH104', place, `${quoteValue(text)} is not of the form 'NAME:PATH' or 'NAME:PATH:encrypted'`);
        continue;
      }
      const credential = mapNode(place);
      const put = (field: string, value: ScalarNode) => credential.entries.set(field, { keyPlace: place, value });
      put('path', scalar(path, { ...place, column: place.column + name.length + 1 }, ['string']));
      if (encrypted !== undefined) put('encrypted', { kind: 'scalar', place, source: 'true', value: true });
      map.entries.set(name, { keyPlace: place, value: credential });
    }
    root.entries.set(key, { keyPlace, value: map });
  }

  /** Words `PATH`, or `PATH:VALUE` for one more field. */
  #addPaths(assignment: Assignment, field: string): void {
    const { key, keyPlace, placeAt } = assignment;
    const words = this.#split(assignment);
    if (words === undefined) return;
    const items = words.map(({ text, offset }) => {
      const place = placeAt(offset);
      const [, path = text, value] = /^(.*):([^:/]*)$/s.exec(text) ?? [];
      const item = mapNode(place);
      item.entries.set('path', { keyPlace: place, value: scalar(path, place, ['string']) });
      if (value !== undefined) {
        const after = { ...place, column: place.column + path.length + 1 };
        item.entries.set(field, { keyPlace: after, value: scalar(value, after, ['string']) });
      }
      return item;
    });
    this.#put(key, keyPlace, { kind: 'list', place: placeAt(0), items: [...this.#itemsOf(key), ...items] });
  }

  #addSocket(assignment: Assignment): void {
    const { key, keyPlace, placeAt } = assignment;
    const words = this.#split(assignment);
    if (words === undefined) return;
    const socket = mapNode(placeAt(0));
    words.forEach(({ text, offset }, index) => {
      const [, name, separator, rest = ''] = /^([a-zA-Z]+)([:=])(.*)$/s.exec(text) ?? [];
      const place = placeAt(offset);
      const isAddress = index === 0 && separator === ':' && (name === 'tcp' || name === 'unix');
      if (isAddress || (index > 0 && separator === '=' && name !== 'tcp' && name !== 'unix')) {
        const types = keyFacts(`listen[].${name}`)?.types ?? ['string'];
        const inner = { ...place, column: place.column + (name ?? '').length + 1 };
        socket.entries.set(name ?? '', { keyPlace: place, value: scalar(rest, inner, types) });
      } else if (index === 0) {
        this.add(
          'BH104',
          place,
          `${quoteValue(text)} is not a socket`,
          "write 'listen=tcp:ADDRESS:PORT' or 'listen=unix:/PATH'",
        );
      } else this.add('BH104', place, `${quoteValue(text)} is not of the form 'key=value'`);
    });
    if (!socket.entries.has('tcp') && !socket.entries.has('unix')) return;
    this.#put(key, keyPlace, { kind: 'list', place: placeAt(0), items: [...this.#itemsOf(key), socket] });
  }

  #addDisk(assignment: Assignment): void {
    const { key, keyPlace, placeAt } = assignment;
    const [path, ...words] = this.#split(assignment) ?? [];
    if (path === undefined) return;
    const disk = mapNode(placeAt(0));
    const pathPlace = placeAt(path.offset);
    disk.entries.set('path', { keyPlace: pathPlace, value: scalar(path.text, pathPlace, ['string']) });
    for (const { text, offset } of words) {
      const [, name = '', rest = ''] = /^([a-z-]+)=(.*)$/s.exec(text) ?? [];
      const place = placeAt(offset);
      if (name === '' || name === 'path')
        this.add('BH104', place, `${quoteValue(text)} is not of the form 'key=value'`);
      else {
        const types = keyFacts(`limits.io[].${name}`)?.types ?? ['string'];
        const inner = { ...place, column: place.column + name.length + 1 };
        disk.entries.set(name, { keyPlace: place, value: scalar(rest, inner, types) });
      }
    }
    this.#put(key, keyPlace, { kind: 'list', place: placeAt(0), items: [...this.#itemsOf(key), disk] });
  }

  #addScheduled({ key, keyPlace, value, placeAt }: Assignment): void {
    const [, action = '', space = '', cron = ''] = /^(\S+)(\s*)(.*)$/s.exec(value) ?? [];
    const scheduled = mapNode(placeAt(0));
    const place = placeAt(action.length + space.length);
    scheduled.entries.set(action, { keyPlace: placeAt(0), value: scalar(cron, place, ['string']) });
    this.#put(key, keyPlace, { kind: 'list', place: placeAt(0), items: [...this.#itemsOf(key), scheduled] });
  }

  #split({ key, value, placeAt }: Assignment): readonly Word[] | undefined {
    const words = splitWords(value);
    if (Array.isArray(words)) return words;
    const error = words as { message: string; offset: number };
    this.add('BH101', placeAt(error.offset), error.message);
    this.broken.push(key);
    return undefined;
  }

  #itemsOf(key: string): readonly TreeNode[] {
    let present: TreeNode | undefined = this.root;
    for (const name of key.split('.')) present = present?.kind === 'map' ? present.entries.get(name)?.value : undefined;
    return present?.kind === 'list' ? present.items : [];
  }

  #rootAt(place: Place): MapNode {
    this.root ??= mapNode({ file: place.file, line: 1, column: 1 });
    return this.root;
  }

  #put(key: string, keyPlace: Place, value: TreeNode): void {
    const names = key.split('.');
    const last = names.pop() ?? key;
    let map = this.#rootAt(keyPlace);
    for (const name of names) {
      const inner = map.entries.get(name)?.value;
      const next = inner?.kind === 'map' ? inner : mapNode(keyPlace);
      map.entries.set(name, { keyPlace, value: next });
      map = next;
    }
    map.entries.set(last, { keyPlace, value });
  }
}

/** A number or truth where only that will do, as YAML would make it; text otherwise. */
function scalar(source: string, place: Place, types: readonly string[]): ScalarNode {
  if (types.includes('boolean') && !types.includes('string') && /^(?:true|false)$/.test(source))
    return { kind: 'scalar', place, source, value: source === 'true' };
  const isNumber = !types.includes('string') && /^[-+]?\d+(?:\.\d+)?$/.test(source) && source.length < 16;
  return { kind: 'scalar', place, source, value: isNumber ? Number(source) : source };
}
