import assert from 'node:assert/strict';
import { formatProblem } from '../../../src/base/problem.ts';
import { DEFAULT_CONFIGURATION, readConfiguration } from '../../../src/declare/configuration.ts';
import type { DeclarationText } from '../../../src/declare/declaration.ts';

function text(words: string, file = 'bulkhead.yaml'): DeclarationText {
  return { file, text: words, format: 'yaml' };
}

describe('readConfiguration', () => {
  it('has a default for everything', () => {
    assert.deepEqual(DEFAULT_CONFIGURATION, {
      incidents: { keepMs: 30 * 86_400_000, bytes: 1024 ** 3, cleanUp: '29 4 * * *' },
      unkillable: { most: 3 },
      versions: { unrecorded: 'allow' },
      node: { everyMs: 60_000, looks: 3, temperature: 95, memory: 95, load: 'infinity', gpuTemperature: 90 },
    });
    for (const nothing of [[], [text('')], [text('# nothing yet\n')], [text('node: null\n')]])
      assert.deepEqual(readConfiguration(nothing), { configuration: DEFAULT_CONFIGURATION, problems: [] });
  });

  it('lays drop-ins over the file', () => {
    const file = text('incidents: { keep: 2d, size: 5M }\nnode: { every: infinity, load: 12.5, memory: infinity }\n');
    const dropIn = text(
      'incidents: { size: 2G, clean-up: 0 1 * * * }\nnode: { load: null }\nunkillable: { most: 0 }\nversions: { unrecorded: refuse }\n',
    );
    const { configuration, problems } = readConfiguration([file, dropIn]);
    assert.deepEqual(problems, []);
    assert.deepEqual(configuration, {
      incidents: { keepMs: 2 * 86_400_000, bytes: 2 * 1024 ** 3, cleanUp: '0 1 * * *' },
      unkillable: { most: 0 },
      versions: { unrecorded: 'refuse' },
      node: {
        everyMs: 'infinity',
        looks: 3,
        temperature: 95,
        memory: 'infinity',
        load: 'infinity',
        gpuTemperature: 90,
      },
    });
  });

  it('reports all mistakes of all texts, as those of declarations are', () => {
    const { configuration, problems } = readConfiguration([
      text('incidents: { keep: 1s, size: 1K, clean-up: hourly }\nnodes: {}\n'),
      text(
        'node: { temperature: hot, memory: 95, gpu-temperature: 900, every: 1s, load: 0 }\nunkillable: 3\nversions: { unrecorded: deny }\n',
        'd.yaml',
      ),
    ]);
    assert.equal(configuration, undefined);
    assert.deepEqual(problems.map(formatProblem), [
      "bulkhead.yaml:1:20: BH104 'incidents.keep' must be a duration from 1h to 365d, such as 30d, not '1s'",
      "bulkhead.yaml:1:30: BH104 'incidents.size' must be a size from 1M on, such as 1G, not '1K': the least is 1M",
      "bulkhead.yaml:1:44: BH104 'incidents.clean-up' must be an expression of cron in quotes, such as '29 4 * * *', not 'hourly': it has one field, not minute, hour, day of the month, month and day of the week",
      "bulkhead.yaml:2:1: BH102 unknown key 'nodes' (did you mean 'node'?)",
      "d.yaml:1:22: BH104 'node.temperature' must be a number of degrees Celsius from 20 to 150, or infinity, not 'hot'",
      "d.yaml:1:35: BH103 'node.memory' must be a percentage from 1% to 100%, such as 95%, or infinity, not '95' (write '95%')",
      "d.yaml:1:56: BH104 'node.gpu-temperature' must be a number of degrees Celsius from 20 to 150, or infinity, not '900'",
      "d.yaml:1:68: BH104 'node.every' must be a duration from 5s to 1h, such as 1min, or infinity, not '1s'",
      "d.yaml:1:78: BH104 'node.load' must be a number from 0.1 to 10000, or infinity, not '0'",
      "d.yaml:2:13: BH103 'unkillable' must be a map, not '3'",
      "d.yaml:3:25: BH104 'versions.unrecorded' must be 'allow' or 'refuse', not 'deny' (there are allow, refuse)",
    ]);
  });

  it('knows keys of its own alone', () => {
    const { problems } = readConfiguration([text('template: python\nincidents: { keeps: 1d }\n')]);
    assert.deepEqual(problems.map(formatProblem), [
      "bulkhead.yaml:1:1: BH102 unknown key 'template' (known here: incidents, unkillable, versions, node)",
      "bulkhead.yaml:2:14: BH102 unknown key 'keeps' in 'incidents' (did you mean 'keep'?)",
    ]);
  });
});
