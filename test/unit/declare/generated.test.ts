import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CONFIGURATION_GRAMMAR, PLUGIN_GRAMMAR } from '../../../src/declare/grammar.ts';
import { PROJECT } from '../project.ts';

interface Generator {
  readonly SCHEMAS: Readonly<Record<string, string>>;
  generate(schema: unknown): string;
  readSchema(name: string, directory: string): unknown;
}

it('makes the validators of what the schemas say', async () => {
  const generator = (await import(`${PROJECT}/packaging/generate-schema.mjs`)) as Generator;
  for (const [name, file] of Object.entries(generator.SCHEMAS)) {
    const committed = readFileSync(`${PROJECT}/src/declare/${file}`, 'utf8');
    assert.ok(
      generator.generate(generator.readSchema(name, PROJECT)) === committed,
      `${file} is stale; run: node packaging/generate-schema.mjs`,
    );
  }
}).timeout(20_000);

for (const [name, { keys, readers }] of Object.entries({ plugin: PLUGIN_GRAMMAR, bulkhead: CONFIGURATION_GRAMMAR }))
  describe(`${name}.schema.json`, () => {
    it('says of every key what it must be, and has a title for people', () => {
      for (const { key, expected, title } of keys.all) {
        assert.ok(expected !== undefined && expected.length > 0, `'${key}' has no x-expected`);
        assert.ok(key.endsWith('[]') || title !== undefined, `'${key}' has no title`);
      }
    });

    it('has defaults and examples that its readers take', () => {
      for (const { key, default: fallback, examples = [] } of keys.all) {
        const reader = readers.get(key);
        if (reader === undefined) continue;
        const samples = [...examples, ...(fallback === undefined ? [] : [fallback])].filter(
          (sample) => typeof sample !== 'object',
        );
        for (const sample of samples) assert.ok(!('refused' in reader(String(sample))), `${key}: ${String(sample)}`);
      }
    });

    it('has no reader for a key that does not exist', () => {
      const known = new Set(keys.all.map(({ key }) => key));
      for (const key of readers.keys()) assert.ok(known.has(key), key);
    });
  });
