import assert from 'node:assert/strict';
import fc from 'fast-check';
import { splitWords } from '../../../src/declare/split-words.ts';
import { quoteWord } from '../../../src/unit/quote.ts';

function texts(value: string): string[] | string {
  const words = splitWords(value);
  return Array.isArray(words) ? words.map(({ text }) => text) : (words as { message: string }).message;
}

describe('splitWords', () => {
  it('splits as systemd does', () => {
    assert.deepEqual(texts(`a  'b c' "d e"f g\\x20h "" i\\sj \\u00e4 \\101 "it's"`), [
      'a',
      'b c',
      'd ef',
      'g h',
      '',
      'i j',
      'ä',
      'A',
      "it's",
    ]);
    assert.deepEqual(texts(''), []);
    assert.deepEqual(texts(' \t '), []);
  });

  it('refuses what systemd refuses', () => {
    assert.equal(texts('a "b'), 'a quote is not closed');
    for (const odd of ['\\q', 'a\\', '\\x0g', '\\x00', '\\ud800', '\\U00110000', '\\xff'])
      assert.equal(texts(odd), 'unknown escape sequence', odd);
  });

  it('says where a word begins', () => {
    assert.deepEqual(splitWords(' a "b c"  d'), [
      { text: 'a', offset: 1 },
      { text: 'b c', offset: 3 },
      { text: 'd', offset: 10 },
    ]);
  });

  it('takes back what the unit file writer quotes', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'grapheme' }).filter((word) => !word.includes('\0'))), (words) => {
        assert.deepEqual(texts(words.map(quoteWord).join(' ')), words);
      }),
    );
  });
});
