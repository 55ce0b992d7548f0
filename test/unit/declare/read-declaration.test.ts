import assert from 'node:assert/strict';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { FAILURES } from '../../../src/base/failure.ts';
import type { DeclarationText } from '../../../src/declare/declaration.ts';
import { readDeclaration } from '../../../src/declare/read-declaration.ts';
import { LONGEST_TEXT, MOST_PROBLEMS } from '../../../src/declare/yaml-tree.ts';
import { quoteWord } from '../../../src/unit/quote.ts';

const yaml = (text: string, file = 'x.yaml'): DeclarationText => ({ file, text, format: 'yaml' });
const unit = (text: string, file = 'x.service'): DeclarationText => ({ file, text, format: 'unit' });
const read = (...texts: DeclarationText[]) => readDeclaration('x', texts, () => undefined);

/** Text that can stand in a YAML file: no lone surrogates, no control characters. */
const words = fc
  .string({ unit: 'grapheme', maxLength: 20 })
  .map((text) => text.replace(/[\p{Cc}\p{Cs}\u2028\u2029\ufeff]/gu, '_'));
const seconds = fc.integer({ min: 1, max: 3600 });

/** Valid declarations in the form in which people write them. */
const declarations = fc.record(
  {
    version: fc.stringMatching(/^v[0-9]{1,3}$/),
    description: words,
    exec: fc.array(words, { maxLength: 5 }).map((rest) => ['/usr/bin/true', ...rest.map((word) => `x${word}`)]),
    environment: fc.dictionary(
      fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/).map((name) => `E${name}`),
      words,
      { maxKeys: 5, noNullPrototype: true },
    ),
    listen: fc
      .uniqueArray(fc.integer({ min: 1, max: 65535 }), { maxLength: 5 })
      .map((ports) => ports.map((port) => ({ tcp: `127.0.0.1:${port}` }))),
    pool: fc.record({ size: fc.integer({ min: 1, max: 64 }) }),
    limits: fc.record({
      memory: fc.integer({ min: 4, max: 4096 }).map((size) => `${size}M`),
      'memory-high': fc.integer({ min: 1, max: 100 }).map((share) => `${share}%`),
      tasks: fc.integer({ min: 1, max: 4_194_304 }),
      files: fc.integer({ min: 64, max: 1_048_576 }),
      'cpu-weight': fc.integer({ min: 1, max: 10_000 }),
    }),
    health: fc.record({
      ready: fc.constantFrom('exec', 'notify'),
      'start-timeout': seconds.map((count) => `${count}s`),
    }),
    stop: fc.record({ timeout: seconds }),
  },
  { requiredKeys: ['version', 'exec', 'description', 'environment', 'listen', 'pool', 'limits', 'health', 'stop'] },
);

type Written = typeof declarations extends fc.Arbitrary<infer Value> ? Value : never;

/** The same declaration as an [X-Plugin] section. */
function asSection(written: Written): string {
  const lines = [
    `version=${written.version}`,
    `description=${written.description}`,
    `exec=${written.exec.map(quoteWord).join(' ')}`,
    ...Object.entries(written.environment).map(([name, value]) => `environment=${quoteWord(`${name}=${value}`)}`),
    ...written.listen.map(({ tcp }) => `listen=tcp:${tcp}`),
    `pool.size=${written.pool.size}`,
    ...Object.entries(written.limits).map(([key, value]) => `limits.${key}=${value}`),
    ...Object.entries(written.health).map(([key, value]) => `health.${key}=${value}`),
    `stop.timeout=${written.stop.timeout}`,
  ];
  return `[X-Plugin]\n${lines.join('\n')}\n`;
}

describe('readDeclaration', () => {
  it('reads back every valid declaration', () => {
    fc.assert(
      fc.property(declarations, (written) => {
        const { declaration, problems } = read(yaml(stringify(written)));
        assert.deepEqual(problems, []);
        assert.equal(declaration?.description, written.description);
        assert.deepEqual(declaration?.exec, written.exec);
        assert.deepEqual(declaration?.environment, written.environment);
        assert.deepEqual(
          declaration?.listen.map((listen) => listen.kind === 'tcp' && `${listen.host}:${listen.port}`),
          written.listen.map(({ tcp }) => tcp),
        );
        assert.equal(declaration?.pool.size, written.pool.size);
        assert.equal(declaration?.limits.tasks, written.limits.tasks);
        assert.equal(declaration?.stop.timeoutMs, written.stop.timeout * 1000);
      }),
      { numRuns: 60 },
    );
  });

  it('reads the same from a unit file as from YAML', () => {
    const plain = declarations.filter(
      ({ description }) => description === description.trim() && description !== '' && !description.endsWith('\\'),
    );
    fc.assert(
      fc.property(plain, (written) => {
        const fromYaml = read(yaml(stringify(written)));
        const fromUnit = read(unit(asSection(written)));
        assert.deepEqual(fromUnit.problems, []);
        assert.deepEqual(fromUnit.declaration, fromYaml.declaration);
      }),
      { numRuns: 60 },
    );
  });

  it('never throws, whatever the text', () => {
    const token = fc.constantFrom(
      'exec',
      'limits',
      'memory',
      'listen',
      'tcp',
      'template',
      'environment',
      ': ',
      '\n',
      '  ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      ',',
      '"',
      "'",
      '&a ',
      '*a',
      '<<',
      '!x ',
      '|',
      '>',
      '#',
      '? ',
      '---',
      '%YAML 1.2',
      '\t',
      '\\',
      '=',
      '[X-Plugin]',
      'null',
      '1e400',
      '.nan',
      '0x',
      '\u0000',
      '\ud800',
      '\ufeff',
      '127.0.0.1:1',
      '__proto__',
      'x',
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join('')),
    );
    fc.assert(
      fc.property(text, fc.constantFrom('yaml' as const, 'unit' as const), (wild, format) => {
        const shown = format === 'unit' ? `[X-Plugin]\n${wild}` : wild;
        const result = read({ file: 'wild', text: shown, format });
        assert.equal(result.declaration === undefined, result.problems.length > 0);
        for (const { code, place, message } of result.problems) {
          assert.ok(code in FAILURES);
          assert.ok(place.line >= 1 && place.column >= 1);
          assert.doesNotMatch(message, /\p{Cc}/u);
        }
      }),
      { numRuns: 500 },
    );
    // Many runs, on whatever else the machine does.
  }).timeout(60_000);

  describe('with the worst texts', () => {
    const { stackTraceLimit } = Error;
    // mocha lifts Node's limit of 10 frames; the YAML library makes an error for each character of a garbled text.
    before(() => {
      Error.stackTraceLimit = 10;
    });
    after(() => {
      Error.stackTraceLimit = stackTraceLimit;
    });

    it('takes bounded time', () => {
      const fill = (part: string) => part.repeat(Math.floor(LONGEST_TEXT / part.length));
      const worst = [
        '[',
        '{a: ',
        '- ',
        '? ',
        'a: 1\n',
        '*a ',
        '!!x ',
        '"',
        ',',
        '}\n',
        '%a\n',
        '---\n',
        ': ',
        '\n',
        '\\\n',
        'a=b\n',
      ];
      for (const part of worst) {
        for (const text of [yaml(fill(part)), unit(`[X-Plugin]\n${fill(part)}`.slice(0, LONGEST_TEXT))]) {
          const begin = performance.now();
          const { problems } = read(text);
          assert.ok(problems.length > 0 && problems.length <= MOST_PROBLEMS, part);
          assert.ok(performance.now() - begin < 10_000, `${JSON.stringify(part)} took ${performance.now() - begin} ms`);
        }
      }
    }).timeout(60_000);
  });

  it('refuses a text that is too long', () => {
    for (const text of [yaml(' '.repeat(LONGEST_TEXT + 1)), unit(' '.repeat(LONGEST_TEXT + 1))]) {
      assert.deepEqual(
        read(text).problems.map(({ code }) => code),
        ['BH112'],
      );
    }
  });

  it('says that there is no declaration at all', () => {
    const { problems } = read();
    assert.deepEqual(problems, [
      {
        code: 'BH108',
        place: { file: '/etc/bulkhead/plugins/x.yaml', line: 1, column: 1 },
        message: "there is no declaration for 'x'",
      },
    ]);
  });

  it('keeps an odd key from changing what all objects have', () => {
    const { problems } = read(yaml('exec: [/usr/bin/true]\n__proto__: { polluted: 1 }\nconstructor: 1\n'));
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['BH102', 'BH102'],
    );
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });

  it('bounds the number of templates', () => {
    const names = Array.from({ length: 40 }, (_, index) => `t${index}`);
    const templates = (name: string) => [yaml(`template: t${Number(name.slice(1)) + 1}\n`, `${name}.yaml`)];
    const { problems } = readDeclaration('x', [yaml(`template: ${names[0]}\nexec: [/usr/bin/true]\n`)], templates);
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['BH112'],
    );
  }).timeout(60_000);
});
