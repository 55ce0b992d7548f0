import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { HttpLoad } from '../../support/load.ts';
import {
  declare,
  installExample,
  killSupervisor,
  must,
  run,
  status,
  systemctl,
  uninstall,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { audit, expectWhole, wrong } from './audit-lab.ts';
import { ask, CLIENT_PROGRAM, FAR, makeFar, NameServer, PORTS, removeFar, startClient } from './network-lab.ts';

const MEGABYTE = 1 << 20;
const CLIENT = 9401;

/** Whoever is refused at once, or told that there is no way. */
const REFUSED = 'ConnectionRefusedError';
const NO_WAY = 'OSError';
const RESET = 'ConnectionResetError';

describe('the network of a plugin', function () {
  this.timeout(120_000);
  const hosts = readFileSync('/etc/hosts', 'utf8');
  const servers: Server[] = [];
  const names = new NameServer({
    'both.test': { four: FAR.four, six: FAR.six },
    'six.test': { six: FAR.six },
    'rebound.test': { four: '127.0.0.1', six: '::1' },
    'mapped.test': { six: '::ffff:7f00:1' },
    'metadata.test': { four: FAR.metadata },
    'own.test': { four: FAR.own, six: 'fd78::1' },
    'moves.test': { four: FAR.four },
  });

  before(async () => {
    await makeFar();
    await names.start();
    appendFileSync('/etc/hosts', `${FAR.four} listed.test\n`);
    for (const target of [
      { port: PORTS.local, host: '127.0.0.1' },
      { port: PORTS.local, host: '::1' },
      { path: '\0of-the-host' },
    ]) {
      // What connects is answered as the other machine would: then a way that should not be is seen as one that is.
      const server = createServer({ allowHalfOpen: true }, (socket) => {
        socket.on('error', () => {});
        socket.pipe(socket, { end: false });
        socket.on('end', () => socket.end('END'));
      });
      await new Promise<void>((resolve) => server.listen(target, resolve));
      servers.push(server);
    }
  });
  after(async () => {
    for (const server of servers) server.close();
    names.stop();
    writeFileSync('/etc/hosts', hosts);
    await removeFar();
  });

  it('can be tested: the host reaches all that a plugin must not', async () => {
    const reach = async (host: string, port: number) => {
      const program = `import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),5); s.shutdown(1); print(s.recv(9))`;
      return (await must('python3', '-c', program, host, String(port))).trim();
    };
    for (const host of [FAR.four, FAR.six, FAR.metadata]) assert.equal(await reach(host, PORTS.echo), "b'END'", host);
    for (const host of ['127.0.0.1', '::1']) assert.equal(await reach(host, PORTS.local), "b'END'", host);
  });

  for (const isolation of ['nspawn', 'scope']) {
    describe(`with an allow-list, in ${isolation}`, () => {
      const name = `egress-${isolation}`;
      const exchange = (host: string, port: number, bytes = 4 * MEGABYTE) =>
        ask(CLIENT, { kind: 'exchange', host, port, bytes });
      before(() =>
        startClient(name, CLIENT, isolation, [
          `${FAR.four}:${PORTS.echo}`,
          `[${FAR.six}]:${PORTS.echo}`,
          ...['both', 'six', 'listed', 'moves', 'rebound', 'mapped', 'metadata', 'own', 'nowhere'].map(
            (label) => `${label}.test:${PORTS.echo}`,
          ),
          `rebound.test:${PORTS.local}`,
          `mapped.test:${PORTS.local}`,
          `${FAR.four}:${PORTS.deaf}`,
          `${FAR.four}:${PORTS.open}`,
          `${FAR.four}:1`,
        ]),
      );
      after(() => uninstall(name));

      for (const host of [FAR.four, FAR.six, 'both.test', 'six.test', 'listed.test']) {
        it(`reaches ${host} with every byte, and closes one way after the other`, async () => {
          assert.equal(await exchange(host, PORTS.echo), 'whole');
        });
      }

      it('reaches nothing that is not declared', async () => {
        const attempts: [host: string, port: number, as: string][] = [
          [FAR.four, PORTS.other, REFUSED],
          [FAR.six, PORTS.other, REFUSED],
          ['both.test', PORTS.other, REFUSED],
          [FAR.metadata, PORTS.echo, NO_WAY],
          [FAR.own, PORTS.echo, NO_WAY],
          ['10.78.0.3', PORTS.echo, NO_WAY],
          ['fd78::3', PORTS.echo, NO_WAY],
          ['127.0.0.1', PORTS.local, REFUSED],
          ['::1', PORTS.local, REFUSED],
          ['127.0.0.1', PORTS.echo, REFUSED],
        ];
        for (const [host, port, as] of attempts) assert.equal(await exchange(host, port), as, `${host} ${port}`);
      });

      it('has no DNS, no datagrams, no raw and no abstract sockets of the host', async () => {
        for (const host of ['example.com', 'other.test'])
          assert.equal(await ask(CLIENT, { kind: 'resolve', host }), 'gaierror', host);
        assert.match(await ask(CLIENT, { kind: 'resolve', host: 'both.test' }), /^127\.83\.0\.\d+$/);
        for (const host of ['127.0.0.153', FAR.four])
          assert.match(await ask(CLIENT, { kind: 'udp', host, port: 53 }), /^(ConnectionRefusedError|OSError)$/, host);
        assert.equal(await ask(CLIENT, { kind: 'raw' }), 'PermissionError');
        assert.equal(await ask(CLIENT, { kind: 'abstract', host: 'of-the-host' }), REFUSED);
      });

      it('is not led to the host or its link by a name, whatever its server says', async () => {
        for (const [host, port] of [
          ['rebound.test', PORTS.local],
          ['mapped.test', PORTS.local],
          ['metadata.test', PORTS.echo],
          ['own.test', PORTS.echo],
        ] as const) {
          assert.equal(await exchange(host, port, 16), RESET, host);
          const log = await must('journalctl', '-q', '--no-pager', '-o', 'cat', '-t', name);
          assert.ok(log.includes(`no connection to ${host}:${port}: it leads to this host`), `${host}: ${log}`);
        }
      });

      it('sees a reset where nobody answers', async () => {
        assert.equal(await exchange('nowhere.test', PORTS.echo, 16), RESET);
        assert.equal(await exchange(FAR.four, 1, 16), RESET);
      });

      it('follows a name to its new address', async () => {
        assert.equal(await exchange('moves.test', PORTS.echo, 16), 'whole');
        names.set('moves.test', { four: '127.0.0.1' });
        await until('the name leads nowhere', async () => (await exchange('moves.test', PORTS.echo, 16)) === RESET);
        names.set('moves.test', { six: FAR.six });
        await until('the name leads on', async () => (await exchange('moves.test', PORTS.echo, 16)) === 'whole');
      });

      it('serves thousands of connections beside peers that never read and never close', async () => {
        const deaf = { kind: 'open', host: FAR.four, port: PORTS.deaf, count: 50, fill: true } as const;
        assert.equal(await ask(CLIENT, deaf), 'open');
        assert.equal(await ask(CLIENT, { kind: 'open', host: FAR.four, port: PORTS.open, count: 200 }), 'open');
        const before = names.asked.get('both.test') ?? 0;
        const many = { kind: 'many', host: 'both.test', port: PORTS.echo, count: 100 } as const;
        const answers = await Promise.all(Array.from({ length: 20 }, () => ask(CLIENT, many)));
        assert.deepEqual([...new Set(answers)], ['all']);
        // Two questions a second at most, however many connections there are.
        assert.ok((names.asked.get('both.test') ?? 0) - before < 100, String(names.asked.get('both.test')));
      });

      it('passes the audit, and its endpoints are shown', async () => {
        await expectWhole(name);
        const shown = await status(name);
        assert.equal(shown.network.mode, 'egress');
        assert.equal(shown.network.egress[0], `${FAR.four}:${PORTS.echo}`);
        assert.match(await must('bulkheadctl', 'status', name), /Network: 10\.78\.0\.2:7001\n/);
        assert.match(await must('bulkheadctl', 'plan', name), /six\.test:7001 +at 127\.83\.0\.2:7001/);
      });

      it('loses nothing of a connection when the supervisor is killed', async () => {
        const exchanges = Array.from({ length: 4 }, () => exchange(FAR.four, PORTS.echo, 64 * MEGABYTE));
        await killSupervisor();
        assert.deepEqual([...new Set(await Promise.all(exchanges))], ['whole']);
        assert.equal(await exchange('both.test', PORTS.echo), 'whole');
        await untilWhole(name, 1);
        await expectWhole(name);
      });

      it('is replaced when its forwarder dies, which is said', async () => {
        for (const process of ['plugin-egress', 'egress-reader']) {
          const [sandbox] = await untilWhole(name, 1);
          const pids = (await must('pgrep', '-x', process)).trim().split('\n');
          const own = pids.filter((pid) => readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(sandbox?.unit ?? '-'));
          assert.equal(own.length, 1, pids.join());
          await must('kill', '-KILL', own[0] ?? '');
          await untilReplaced(name, 1, sandbox?.unit ?? '');
          const log = await must('journalctl', '-q', '--no-pager', '-o', 'cat', '-u', 'bulkheadd');
          assert.ok(log.includes(`'${sandbox?.unit}': killed because the forwarder of its connections ended`), log);
          assert.equal(await exchange(FAR.four, PORTS.echo, 16), 'whole');
        }
      });

      it('leaves nothing behind', async () => {
        await systemctl('stop', `plugin@${name}`);
        assert.equal((await run('pgrep', '-x', 'plugin-egress|egress-reader')).stdout, '');
        assert.equal((await run('sh', '-c', 'ls /run/bulkhead/sandbox')).stdout, '');
      });
    });
  }

  describe('of the host, as declared', () => {
    const name = 'network-host';
    afterEach(() => uninstall(name));

    for (const isolation of ['nspawn', 'scope']) {
      it(`is reached in ${isolation}, loopback and abstract sockets included, and said aloud`, async () => {
        declare(name, [
          'template: python',
          `exec: [/usr/bin/python3, -c, ${JSON.stringify(CLIENT_PROGRAM)}]`,
          `isolation: ${isolation}`,
          `listen: [{ tcp: 127.0.0.1:${CLIENT} }]`,
          'network: host',
        ]);
        await systemctl('start', `plugin@${name}`);
        await untilWhole(name, 1);
        for (const [host, port] of [
          ['127.0.0.1', PORTS.local],
          [FAR.four, PORTS.echo],
        ] as const)
          assert.equal(await ask(CLIENT, { kind: 'exchange', host, port, bytes: MEGABYTE }), 'whole', host);
        assert.equal(await ask(CLIENT, { kind: 'abstract', host: 'of-the-host' }), 'connected');
        assert.match(await must('bulkheadctl', 'status', name), /Network: HOST/);
        assert.match(await must('bulkheadctl', 'plan', name), /HOST +the network of the host/);
        const { report } = await audit(name);
        assert.deepEqual(wrong(report), []);
        const [finding] = report.sandboxes.flatMap(({ findings }) => findings.filter(({ wall }) => wall === 'network'));
        assert.match(finding?.seen ?? '', /HOST/);
      });
    }
  });

  for (const isolation of ['nspawn', 'scope']) {
    for (const network of ['none', 'host', `{ egress: [${FAR.four}:1] }`]) {
      it(`serves HTTP on sockets that are handed in, ${isolation}, network ${network}`, async () => {
        installExample('network-http', 'python', [
          'template: python',
          'version: v1',
          `isolation: ${isolation}`,
          `network: ${network}`,
          'listen: [{ tcp: 127.0.0.1:9402 }, { unix: /run/plugin/network-http.sock }]',
        ]);
        try {
          await systemctl('start', 'plugin@network-http');
          for (const target of [{ host: '127.0.0.1', port: 9402 }, { path: '/run/plugin/network-http.sock' }]) {
            const load = new HttpLoad({ target, connections: 4, keepAlive: false, requests: 100 });
            assert.deepEqual((await load.finished()).lost, []);
          }
          await expectWhole('network-http');
        } finally {
          await uninstall('network-http');
        }
      });
    }
  }
});
