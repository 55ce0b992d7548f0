import type { Problem } from '../base/problem.ts';
import {
  readKeep,
  readLoad,
  readNodeEvery,
  readStoreSize,
  readTemperature,
  readUsedMemory,
} from './configuration-values.ts';
import type { DeclarationText } from './declaration.ts';
import { CONFIGURATION_GRAMMAR, CONFIGURATION_KEYS } from './grammar.ts';
import { Layers } from './layers.ts';
import { inOrder } from './problem-order.ts';
import { must, Source } from './source.ts';
import { type MapNode, mapNode } from './tree.ts';
import { parseYaml } from './yaml-tree.ts';

/** bulkhead's own configuration: what holds for all plugins of a node. Sizes in bytes, times in ms. */
export interface Configuration {
  readonly incidents: {
    readonly keepMs: number;
    readonly bytes: number;
    /** When the old ones go: an expression of `cron.ts`. */
    readonly cleanUp: string;
  };
  /** How many sandboxes of the node may be replaced that do not end. */
  readonly unkillable: { readonly most: number };
  /** Whether versions may be used that nobody has recorded the digest of. */
  readonly versions: { readonly unrecorded: 'allow' | 'refuse' };
  readonly node: NodeThresholds;
}

export interface NodeThresholds {
  readonly everyMs: number | 'infinity';
  /** Looks in a row that have to agree. */
  readonly looks: number;
  /** Degrees Celsius. */
  readonly temperature: number | 'infinity';
  /** Percent in use. */
  readonly memory: number | 'infinity';
  /** For each CPU. */
  readonly load: number | 'infinity';
  readonly gpuTemperature: number | 'infinity';
}

export interface ReadConfiguration {
  /** There when there are no problems. */
  readonly configuration?: Configuration;
  readonly problems: readonly Problem[];
}

/** Reads the texts of bulkhead.yaml and its drop-ins in order; later ones win. Never throws, and reports all problems. */
export function readConfiguration(texts: readonly DeclarationText[]): ReadConfiguration {
  const layers = new Layers(CONFIGURATION_GRAMMAR);
  for (const { file, text } of texts) layers.add(parseYaml(file, text));
  if (layers.problems.length > 0) return { problems: inOrder(layers.problems) };
  return { configuration: convert(layers.over()), problems: [] };
}

function convert(tree: MapNode): Configuration {
  const source = new Source(tree, CONFIGURATION_KEYS);
  const text = (key: string) => source.text(key);
  return {
    incidents: {
      keepMs: must('incidents.keep', readKeep(text('incidents.keep'))),
      bytes: must('incidents.size', readStoreSize(text('incidents.size'))),
      cleanUp: text('incidents.clean-up'),
    },
    unkillable: { most: Number(text('unkillable.most')) },
    versions: { unrecorded: text('versions.unrecorded') === 'refuse' ? 'refuse' : 'allow' },
    node: {
      everyMs: must('node.every', readNodeEvery(text('node.every'))),
      looks: Number(text('node.looks')),
      temperature: must('node.temperature', readTemperature(text('node.temperature'))),
      memory: must('node.memory', readUsedMemory(text('node.memory'))),
      load: must('node.load', readLoad(text('node.load'))),
      gpuTemperature: must('node.gpu-temperature', readTemperature(text('node.gpu-temperature'))),
    },
  };
}

export const DEFAULT_CONFIGURATION: Configuration = convert(mapNode({ file: '', line: 1, column: 1 }));
