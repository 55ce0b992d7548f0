import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { KEYS } from '../../../src/declare/keys.ts';
import { READERS } from '../../../src/declare/values.ts';
import { PROJECT } from '../project.ts';

interface Generator {
  generate(schema: unknown): string;
  readSchema(directory: string): unknown;
}

describe('plugin.schema.json', () => {
  it('is what check.generated.js was made from', async () => {
    const generator = (await import(`${PROJECT}/packaging/generate-schema.mjs`)) as Generator;
    const committed = readFileSync(`${PROJECT}/src/declare/check.generated.js`, 'utf8');
    assert.ok(
      generator.generate(generator.readSchema(PROJECT)) === committed,
      'stale; run: node packaging/generate-schema.mjs',
    );
  }).timeout(20_000);

  it('says of every key what it must be, and has a title for people', () => {
    for (const { key, expected, title } of KEYS) {
      assert.ok(expected !== undefined && expected.length > 0, `'${key}' has no x-expected`);
      assert.ok(key.endsWith('[]') || title !== undefined, `'${key}' has no title`);
    }
  });

  it('has defaults and examples that its readers take', () => {
    for (const { key, default: fallback, examples = [] } of KEYS) {
      const reader = READERS.get(key);
      if (reader === undefined) continue;
      const samples = [...examples, ...(fallback === undefined ? [] : [fallback])].filter(
        (sample) => typeof sample !== 'object',
      );
      for (const sample of samples) assert.ok(!('refused' in reader(String(sample))), `${key}: ${String(sample)}`);
    }
  });

  it('has no reader for a key that does not exist', () => {
    const known = new Set(KEYS.map(({ key }) => key));
    for (const key of READERS.keys()) assert.ok(known.has(key), key);
  });
});
