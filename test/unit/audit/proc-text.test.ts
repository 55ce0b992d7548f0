import assert from 'node:assert/strict';
import {
  parseCredentials,
  parseInterfaces,
  parseLimit,
  parseListening,
  parseMap,
  parseMounts,
  parseSockets,
} from '../../../src/audit/proc-text.ts';
import { capabilityMask, capabilityText } from '../../../src/base/capability-mask.ts';

const STATUS = `Name:	a: b
Uid:	1	2	3	4
Gid:	5	6	7	8
Groups:	9 10 
CapInh:	0000000000000000
CapPrm:	0000000000000001
CapEff:	000001ffffffffff
CapBnd:	0000000000000000
CapAmb:	0000000000000400
NoNewPrivs:	1
Seccomp:	2
Seccomp_filters:	1
`;

describe('text of /proc', () => {
  it('net/tcp and net/tcp6: what listens, and nothing else', () => {
    const four = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0000000000000000 100 0 0 10 0
   1: 0302010A:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 112 1 0000000000000000 100 0 0 10 0
   2: 0302010A:1538 0302010A:9999 01 00000000:00000000 00:00000000 00000000     0        0 113 1 0000000000000000 100 0 0 10 0
garbage
`;
    const six = `   0: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 114 1 0 100 0 0 10 0
   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 115 1 0 100 0 0 10 0`;
    assert.deepEqual(
      [...parseListening(four), ...parseListening(six)],
      [
        ['127.0.0.1:8080', '111'],
        ['10.1.2.3:5432', '112'],
        ['[2001:db8::1]:443', '114'],
        ['[::]:22', '115'],
      ],
    );
  });

  it('status: what belongs to a thread', () => {
    assert.deepEqual(parseCredentials(STATUS), {
      uids: [1, 2, 3, 4],
      gids: [5, 6, 7, 8],
      groups: [9, 10],
      capabilities: [0n, 1n, 0x1ffffffffffn, 0n, 0x400n],
      noNewPrivs: true,
      seccompMode: 2,
      seccompFilters: 1,
    });
    assert.equal(parseCredentials(STATUS.replace(/Seccomp_filters.*\n/, ''))?.seccompFilters, null);
    for (const field of ['Uid', 'Gid', 'CapBnd', 'Seccomp'])
      assert.equal(parseCredentials(STATUS.replace(new RegExp(`^${field}:.*\n`, 'm'), '')), undefined, field);
    assert.equal(parseCredentials(''), undefined);
  });

  it('limits', () => {
    const text =
      'Limit   Soft Limit  Hard Limit  Units\nMax open files            1024      unlimited       files     \n';
    assert.deepEqual(parseLimit(text, 'Max open files'), [1024, Number.POSITIVE_INFINITY]);
    assert.equal(parseLimit(text, 'Max nothing'), undefined);
  });

  it('mountinfo, with what is escaped, and without the optional fields', () => {
    const [mount, ...more] = parseMounts(
      '73 72 0:44 /a\\134x2d\\040b /c\\011d ro,nosuid shared:1 master:2 - tmpfs no\\040ne rw,size=4k\n1 2 0:1 / /x rw - proc proc rw\nrubbish\n',
    );
    assert.deepEqual(mount, {
      id: 73,
      root: '/a\\x2d b',
      target: '/c\td',
      options: ['ro', 'nosuid'],
      type: 'tmpfs',
      superOptions: ['rw', 'size=4k'],
    });
    assert.deepEqual(
      more.map(({ target, type }) => [target, type]),
      [['/x', 'proc']],
    );
  });

  it('net/dev: interfaces and whether they were used', () => {
    const text = `Inter-|   Receive                |  Transmit
 face |bytes    packets errs |bytes
    lo: 0 0 0 0
 veth0:12 1 0 0
`;
    assert.deepEqual(parseInterfaces(text), [
      { name: 'lo', idle: true },
      { name: 'veth0', idle: false },
    ]);
  });

  it('tables of sockets', () => {
    const tcp = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2473 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5747073 1 0000000000000000 100 0 0 10 0
   1: 0100007F:2473 0100007F:9999 06 00000000:00000000 00:00000000 00000000     0        0 0 1 0`;
    assert.deepEqual(parseSockets('tcp', tcp), [{ inode: '5747073', local: '0100007F:2473' }]);
    const unix = `Num       RefCount Protocol Flags    Type St Inode Path
00000000f51295d5: 00000003 00000000 00000000 0001 03 5747251
0000000061dc1d64: 00000002 00000000 00010000 0001 01 5747252 /run/a b.sock`;
    assert.deepEqual(parseSockets('unix', unix), [
      { inode: '5747251', local: '' },
      { inode: '5747252', local: '/run/a b.sock' },
    ]);
  });

  it('id maps', () => {
    assert.equal(parseMap('         0 1073741824      65536\n'), '0 1073741824 65536');
    assert.equal(parseMap('  0  1  1\n  1  5  2\n'), '0 1 1\n1 5 2');
  });

  it('capabilities by name', () => {
    assert.equal(capabilityMask(['CAP_KILL', 'CAP_CHECKPOINT_RESTORE']), (1n << 5n) | (1n << 40n));
    assert.equal(capabilityText((1n << 5n) | (1n << 41n)), 'CAP_KILL capability 41');
    assert.equal(capabilityText(0n), 'none');
  });
});
