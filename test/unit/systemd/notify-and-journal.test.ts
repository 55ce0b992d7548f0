import assert from 'node:assert/strict';
import { FdStore, inheritedFds, isFdName } from '../../../src/systemd/fd-store.ts';
import { encodeEntry, Journal } from '../../../src/systemd/journal.ts';
import { Notifier } from '../../../src/systemd/notify.ts';
import { ManualClock } from './fake-peer.ts';

describe('notifications', () => {
  function recording() {
    const clock = new ManualClock();
    const sent: { path: string; text: string; fds: readonly number[] }[] = [];
    const notifier = new Notifier({
      socket: '/run/systemd/notify',
      clock,
      sendDatagram: (path, bytes, fds) => sent.push({ path, text: Buffer.from(bytes).toString(), fds }),
      makePipe: () => assert.fail('no pipe is needed'),
    });
    return { notifier, sent, clock };
  }

  it('are what sd_notify(3) says', () => {
    const { notifier, sent, clock } = recording();
    clock.advance(1234.5);
    notifier.ready('3/3 ready');
    notifier.status('two\nlines');
    notifier.reloading();
    notifier.watchdog();
    notifier.stopping();
    notifier.extendTimeout(1500);
    assert.deepEqual(
      sent.map(({ text }) => text),
      [
        'READY=1\nSTATUS=3/3 ready\n',
        'STATUS=two lines\n',
        'RELOADING=1\nMONOTONIC_USEC=1234500\n',
        'WATCHDOG=1\n',
        'STOPPING=1\n',
        'EXTEND_TIMEOUT_USEC=1500000\n',
      ],
    );
  });

  it('come back under the name that they were stored by, whatever systemd takes for an escape', () => {
    const { notifier, sent } = recording();
    const name = 'report.plugin-a\\x2db-a-g1.service';
    new FdStore(notifier).store(name, [7]);
    const stored = /^FDNAME=(.*)$/m.exec(sent[0]?.text ?? '')?.[1] ?? '';
    assert.ok(!stored.includes('\\'), stored);
    const fds = inheritedFds({ LISTEN_FDS: '1', LISTEN_PID: '77', LISTEN_FDNAMES: stored }, 77, () => {});
    assert.deepEqual([...fds.keys()], [name]);
  });

  it('store and remove descriptors under valid names only', () => {
    const { notifier, sent } = recording();
    const store = new FdStore(notifier);
    store.store('tcp-8081', [7, 8]);
    store.remove('tcp-8081');
    assert.deepEqual(sent[0], {
      path: '/run/systemd/notify',
      text: 'FDSTORE=1\nFDNAME=tcp-8081\nFDPOLL=0\n',
      fds: [7, 8],
    });
    assert.equal(sent[1]?.text, 'FDSTOREREMOVE=1\nFDNAME=tcp-8081\n');
    for (const bad of ['', 'a:b', 'a\nb', 'ü', 'a|b', 'x'.repeat(256)]) {
      assert.equal(isFdName(bad), false, bad);
      assert.throws(() => store.store(bad, [3]), RangeError);
      assert.throws(() => store.remove(bad), RangeError);
    }
    assert.throws(() => store.store('ok', []), RangeError);
    assert.equal(sent.length, 2);
  });
});

describe('inherited descriptors', () => {
  it('are taken by name, marked, and taken out of the environment', () => {
    const marked: number[] = [];
    const environment = { LISTEN_FDS: '4', LISTEN_PID: '77', LISTEN_FDNAMES: 'a:b:a:', PATH: '/bin' };
    const fds = inheritedFds(environment, 77, (fd, on) => on && marked.push(fd));
    assert.deepEqual(
      [...fds],
      [
        ['a', [3, 5]],
        ['b', [4]],
        ['unknown', [6]],
      ],
    );
    assert.deepEqual(marked, [3, 4, 5, 6]);
    assert.deepEqual(environment, { PATH: '/bin' });
  });

  it('of another process are left alone', () => {
    assert.equal(inheritedFds({ LISTEN_FDS: '1', LISTEN_PID: '78' }, 77, assert.fail).size, 0);
    assert.equal(inheritedFds({}, 77, assert.fail).size, 0);
  });

  it('that contradict themselves are refused', () => {
    for (const environment of [
      { LISTEN_FDS: 'x' },
      { LISTEN_FDS: '-1' },
      { LISTEN_FDS: '999999' },
      { LISTEN_FDS: '2', LISTEN_FDNAMES: 'a' },
    ]) {
      assert.throws(() => inheritedFds({ ...environment, LISTEN_PID: '77' }, 77, assert.fail), { code: 'BH203' });
    }
  });
});

describe('the journal', () => {
  it('gets simple fields as lines and others with their length', () => {
    const entry = encodeEntry({ MESSAGE: 'a\nb', PRIORITY: 4, X_Y1: 'c=d', lower: 'no', _PID: 'no', NONE: undefined });
    const length = '\x03\0\0\0\0\0\0\0';
    assert.equal(entry.toString('latin1'), `MESSAGE\n${length}a\nb\nPRIORITY=4\nX_Y1=c=d\n`);
  });

  it('gets no more than fits a datagram', () => {
    const entry = encodeEntry({ MESSAGE: 'x'.repeat(1_000_000), A: 'y'.repeat(60_000), B: 'z'.repeat(60_000) });
    assert.ok(entry.length <= 128 * 1024, `${entry.length}`);
    assert.ok(entry.toString().startsWith('MESSAGE=xxx'));
  });

  it('is replaced by prefixed lines when it cannot be reached', () => {
    const lines: string[] = [];
    const journal = new Journal({
      identifier: 'test',
      writeLine: (line) => lines.push(line),
      sendDatagram: () => {
        throw new Error('ECONNREFUSED');
      },
    });
    journal.write('error', 'one\ntwo');
    assert.deepEqual(lines, ['<3>one', '<3>two']);
  });
});
