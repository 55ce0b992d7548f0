import assert from 'node:assert/strict';
import fc from 'fast-check';
import { escapeText } from '../../../../src/base/printable.ts';
import { paint } from '../../../../src/control/render/colour.ts';
import { renderList } from '../../../../src/control/render/list-view.ts';
import { renderStatus } from '../../../../src/control/render/status-view.ts';
import { renderTable } from '../../../../src/control/render/table.ts';
import { formatMoment, formatSpan } from '../../../../src/control/render/time.ts';
import { displayWidth, shorten, wrap } from '../../../../src/control/render/width.ts';
import { status } from '../support/fake-manager.ts';

describe('escape', () => {
  it('leaves ordinary text of any script alone', () => {
    for (const text of ['plain', 'Grüße', '日本', 'a\u0301', '🙂']) assert.equal(escapeText(text), text);
  });

  it('leaves nothing that moves a cursor or turns text around', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for control characters is the purpose
        assert.doesNotMatch(escapeText(text), /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u2028\u2029]/);
      }),
      { numRuns: 300 },
    );
    assert.equal(escapeText('\ud800x'), '\\ud800x');
  }).timeout(20_000);
});

describe('width', () => {
  it('counts columns, not code units', () => {
    assert.equal(displayWidth('日本'), 4);
    assert.equal(displayWidth('a\u0301'), 1);
    assert.equal(displayWidth('🙂'), 2);
  });

  it('shortens to what fits', () => {
    assert.equal(shorten('plugin', 6), 'plugin');
    assert.equal(shorten('plugins', 6), 'plugi…');
    assert.equal(shorten('日本語', 5), '日本…');
    assert.equal(shorten('x', 0), '');
  });

  it('wraps at spaces', () => {
    assert.deepEqual(wrap('one two three', 7), ['one two', 'three']);
    assert.deepEqual(wrap('', 7), ['']);
    assert.deepEqual(wrap('unbreakable', 4), ['unbreakable']);
  });
});

describe('table', () => {
  const columns = [
    { title: 'NAME', shrinkTo: 4 },
    { title: 'N', align: 'right' as const },
    { title: 'WHY', shrinkTo: 5, dropRank: 1 },
  ];
  const rows = [
    [{ text: 'hello-world' }, { text: '3' }, { text: 'because of something' }],
    [{ text: 'a' }, { text: '12' }, { text: '' }],
  ];

  it('lays columns out, without trailing spaces', () => {
    assert.equal(
      renderTable(columns, rows, { columns: Number.POSITIVE_INFINITY, colour: false }),
      'NAME          N  WHY\nhello-world   3  because of something\na            12\n',
    );
  });

  it('cuts the widest column first', () => {
    assert.equal(
      renderTable(columns, rows, { columns: 28, colour: false }),
      'NAME          N  WHY\nhello-world   3  because of…\na            12\n',
    );
  });

  it('drops what is least important when cutting is not enough', () => {
    assert.equal(renderTable(columns, rows, { columns: 10, colour: false }), 'NAME     N\nhello…   3\na       12\n');
  });

  it('never exceeds the terminal unless nothing more can be cut', () => {
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 60 }), fc.string({ maxLength: 30 }), (width, text) => {
        const table = renderTable(columns, [[{ text }, { text: '1' }, { text }]], { columns: width, colour: false });
        for (const line of table.split('\n')) assert.ok(displayWidth(line) <= width, line);
      }),
      { numRuns: 100 },
    );
  });

  it('colours without counting the colours', () => {
    const table = renderTable([{ title: 'A' }, { title: 'B' }], [[{ text: 'x', style: 'good' }, { text: 'y' }]], {
      columns: 20,
      colour: true,
    });
    assert.equal(table.split('\n')[1], '\u001b[32mx\u001b[0m  y');
    assert.equal(paint('x', 'bad', false), 'x');
  });
});

describe('time', () => {
  it('shows at most two units', () => {
    for (const [ms, text] of [
      [0, '0ms'],
      [999.9, '999ms'],
      [12_345, '12s'],
      [61_000, '1min 1s'],
      [3_600_000, '1h'],
      [93_784_000, '1d 2h'],
      [-5, '0ms'],
    ] as const) {
      assert.equal(formatSpan(ms), text);
    }
  });

  it('shows moments in local time with milliseconds', () => {
    assert.equal(formatMoment(new Date(2026, 10, 21, 6, 7, 8, 9).getTime()), '2026-11-21 06:07:08.009');
    assert.equal(formatMoment(Number.NaN), '-');
  });
});

describe('views', () => {
  it('sorts plugins by name and shows the reason instead of the line', () => {
    const failed = status('beta', { state: 'failed', ready: 0, reason: { code: 'BH304', text: 'exit status 3' } });
    const text = renderList([failed, status('alpha')], { columns: Number.POSITIVE_INFINITY, colour: false });
    const [, first, second] = text.split('\n');
    assert.match(first ?? '', /^● {2}alpha {2}running {2}/);
    assert.match(second ?? '', /^× {2}beta {3}failed .* BH304 exit status 3$/);
  });

  it('fit a narrow terminal', () => {
    for (const columns of [40, 60, 80]) {
      const text = renderStatus(status('a-plugin-with-a-rather-long-name'), { columns, colour: false });
      for (const line of text.split('\n')) assert.ok(displayWidth(line) <= columns, `${columns}: ${line}`);
    }
  });
});

describe('the network in a status', () => {
  const lines = (network: ReturnType<typeof status>['network']) =>
    renderStatus(status('hello', { network }), { columns: 100, colour: false }).split('\n');

  it('is not told of when there is none', () => {
    assert.ok(!lines({ mode: 'none', egress: [] }).some((line) => line.includes('Network')));
  });

  it('is told of endpoint by endpoint, and loudly where it is everything', () => {
    const shown = lines({ mode: 'egress', egress: ['10.0.0.1:1', 'a.test:2'] });
    const at = shown.findIndex((line) => line.includes('Network: 10.0.0.1:1'));
    assert.match(shown[at + 1] ?? '', /^ +a\.test:2$/);
    assert.ok(lines({ mode: 'host', egress: [] }).some((line) => line.includes('Network: HOST')));
  });

  it('tells where a socket is forwarded to', () => {
    const listeners = [{ address: '127.0.0.1:80', name: 'web', to: 8080, kept: true, slots: [] }];
    const shown = renderStatus(status('hello', { listeners }), { columns: 100, colour: false });
    assert.match(shown, /Listen: 127\.0\.0\.1:80 \(web, to port 8080 inside\)\n/);
  });

  it('tells where calls are taken, and how many follow', () => {
    const at = { discovery: '/run/bulkhead/discovery/hello', directory: '/run/bulkhead/rpc/hello' };
    const shown = (clients: number | null): string =>
      renderStatus(status('hello', { calls: { ...at, access: 'root:app 0660', clients } }), {
        columns: 100,
        colour: false,
      });
    assert.match(shown(1), /Calls: \/run\/bulkhead\/discovery\/hello \(root:app 0660, 1 client\)\n/);
    assert.match(shown(2), / 2 clients\)\n +\/run\/bulkhead\/rpc\/hello\/GENERATION\n/);
    assert.match(shown(null), /0660, not served\)\n/);
    assert.doesNotMatch(renderStatus(status('hello', {}), { columns: 100, colour: false }), /Calls:/);
  });

  it('tells how connections are shared out, where it is not as always', () => {
    const slots = [
      { slot: 'a', weight: 75, queued: 2 },
      { slot: 'b', weight: 25, queued: null },
    ] as const;
    const listeners = [{ address: '127.0.0.1:80', name: 'web', to: null, kept: true, slots }];
    const shown = renderStatus(status('hello', { listeners, stragglers: 3 }), { columns: 100, colour: false });
    assert.match(shown, /Listen: 127\.0\.0\.1:80 \(web\): a 75 %, 2 waiting; b 25 %, does not listen any more\n/);
    assert.match(shown, /Left behind: 3 connections, answered by the live slot\n/);
  });
});
