import assert from 'node:assert/strict';
import { applyingFiles, type ListedFile, type Listing, listedNames } from '../../../src/declare/precedence.ts';

const file = (name: string, masks = false): ListedFile => ({ name, masks });

function listing(
  directory: string,
  files: readonly ListedFile[],
  dropIns: Readonly<Record<string, readonly ListedFile[]>> = {},
): Listing {
  return { directory, files, dropIns: new Map(Object.entries(dropIns)) };
}

describe('precedence', () => {
  it('takes the strongest file alone', () => {
    const listings = [
      listing('/etc', []),
      listing('/run', [file('x.yaml')]),
      listing('/lib', [file('x.yaml'), file('y.yaml')]),
    ];
    assert.deepEqual(applyingFiles('x', listings), { paths: ['/run/x.yaml'] });
    assert.deepEqual(applyingFiles('y', listings), { paths: ['/lib/y.yaml'] });
    assert.deepEqual(applyingFiles('z', listings), { paths: [] });
  });

  it('lets an empty file hide everything', () => {
    const listings = [
      listing('/etc', [file('x.yaml', true)], { 'x.yaml.d': [file('1.yaml')] }),
      listing('/lib', [file('x.yaml')]),
    ];
    assert.deepEqual(applyingFiles('x', listings), { paths: [], maskedBy: '/etc/x.yaml' });
    const hidden = [listing('/etc', [file('x.yaml')]), listing('/lib', [file('x.yaml', true)])];
    assert.deepEqual(applyingFiles('x', hidden), { paths: ['/etc/x.yaml'] });
  });

  it('merges the drop-ins of all directories by file name', () => {
    const listings = [
      listing('/etc', [], { 'x.yaml.d': [file('20-b.yaml'), file('30-c.yaml', true)] }),
      listing('/run', [], { 'x.yaml.d': [file('05-r.yaml')] }),
      listing('/lib', [file('x.yaml')], {
        'x.yaml.d': [file('20-b.yaml'), file('30-c.yaml'), file('10-a.yaml'), file('README'), file('.swp.yaml')],
        'xx.yaml.d': [file('1.yaml')],
      }),
    ];
    assert.deepEqual(applyingFiles('x', listings).paths, [
      '/lib/x.yaml',
      '/run/x.yaml.d/05-r.yaml',
      '/lib/x.yaml.d/10-a.yaml',
      '/etc/x.yaml.d/20-b.yaml',
    ]);
  });

  it('lists every name that appears', () => {
    const listings = [
      listing('/etc', [file('b.yaml', true), file('note.txt'), file('.b.yaml')], { 'c.yaml.d': [] }),
      listing('/lib', [file('a.yaml'), file('b.yaml')]),
    ];
    assert.deepEqual(listedNames(listings), ['a', 'b', 'c']);
  });
});
