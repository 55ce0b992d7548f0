import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { listenTcp, pipe } from '../../src/kernel/native.ts';
import { answerTo, Egress, echoServer, exchange, FakeNameServer, portOf, UID } from './egress-programs.ts';
import { prepare, sanitized } from './native-programs.ts';

const RESOLV = 'options timeout:1\nnameserver 127.0.0.153\n';
const HELLO = Buffer.from('hello');

describe('plugin-egress', function () {
  this.timeout(60_000);
  const servers: Server[] = [];
  const started: Egress[] = [];
  let names: FakeNameServer | undefined;
  before(prepare);
  afterEach(async () => {
    // A sanitizer that found something would have ended it with another status.
    for (const egress of started.splice(0)) assert.equal(await egress.stop(), 0, egress.running.err);
    for (const server of servers.splice(0)) server.close();
    names?.stop();
    names = undefined;
  });

  async function start(...given: Parameters<typeof Egress.start>): Promise<Egress> {
    const egress = await Egress.start(...given);
    started.push(egress);
    return egress.ready();
  }
  async function echo(): Promise<number> {
    const server = echoServer();
    servers.push(server);
    return portOf(server);
  }
  async function serveNames(answer: ConstructorParameters<typeof FakeNameServer>[0]): Promise<FakeNameServer> {
    names = await new FakeNameServer(answer).start();
    return names;
  }
  /** An address of this machine that is not loopback would be refused by name; there may be none. */
  const ownAddress = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address;

  function statusOf(pid: number): Map<string, string> {
    const lines = readFileSync(`/proc/${pid}/status`, 'utf8').split('\n');
    return new Map(lines.map((line) => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1).trim()]));
  }
  /** What it tells comes by another way than what it does. */
  async function tells(egress: Egress, words: RegExp): Promise<void> {
    await egress.running.until(String(words), () => words.test(egress.running.err));
  }
  const group = (pid: number): number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number).concat(pid);

  it('passes every byte both ways, and one end after the other', async () => {
    const { ports } = await start([`127.0.0.1:${await echo()}`]);
    for (const size of [0, 1, 32_768, 32_769, 5_000_000]) {
      const bytes = randomBytes(size);
      const got = await exchange(ports[0] ?? 0, bytes);
      assert.ok(got !== 'reset' && got.equals(Buffer.concat([bytes, Buffer.from('END')])), `${size}`);
    }
  });

  it('gives each endpoint its own socket', async () => {
    const [one, two] = [await echo(), await echo()];
    const { ports } = await start([`127.0.0.1:${one}`, `127.0.0.1:${two}`]);
    servers[1]?.close();
    assert.deepEqual(await exchange(ports[0] ?? 0, HELLO), Buffer.from('helloEND'));
    assert.equal(await exchange(ports[1] ?? 0, HELLO), 'reset');
  });

  it('resets what cannot be reached, and tells of it once a minute', async () => {
    const egress = await start(['127.0.0.1:1']);
    for (let i = 0; i < 50; i++) assert.equal(await exchange(egress.ports[0] ?? 0, HELLO), 'reset');
    await tells(egress, /^plugin-egress: no connection to 127\.0\.0\.1:1: Connection refused\n$/);
  });

  it('takes over no connection more than it may have, until one ends', async () => {
    const { ports } = await start([`127.0.0.1:${await echo()}`], { connections: 3 });
    const port = ports[0] ?? 0;
    const answered: string[] = [];
    const open = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map(
        (letter) =>
          new Promise<Socket>((resolve) => {
            const socket = connect({ host: '127.0.0.1', port });
            socket.on('connect', () => {
              socket.write(letter);
              resolve(socket);
            });
            socket.on('data', (chunk: Buffer) => answered.push(chunk.toString()));
          }),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(answered.length, 3);
    for (const socket of open.slice(0, 3)) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(answered.length, 5);
    for (const socket of open) socket.destroy();
  });

  it('keeps little of what nobody reads, and serves others beside it', async () => {
    const deaf = createServer({ pauseOnConnect: true });
    servers.push(deaf);
    const kept = new Set<Socket>();
    deaf.on('connection', (socket) => kept.add(socket));
    const egress = await start([`127.0.0.1:${await portOf(deaf)}`, `127.0.0.1:${await echo()}`]);
    const pid = Number(egress.running.child.pid);
    const before = Number(statusOf(pid).get('VmRSS')?.split(' ')[0]);
    const pushing = Array.from({ length: 20 }, () => connect({ host: '127.0.0.1', port: egress.ports[0] ?? 0 }));
    for (const socket of pushing) socket.write(Buffer.alloc(64 << 20));
    for (let i = 0; i < 20; i++) assert.deepEqual(await exchange(egress.ports[1] ?? 0, HELLO), Buffer.from('helloEND'));
    const grown = Number(statusOf(pid).get('VmRSS')?.split(' ')[0]) - before;
    // A chunk for each, and what malloc and the kernel's accounting add.
    assert.ok(grown < (sanitized ? 20_000 : 3000), `${grown} kB`);
    for (const socket of [...pushing, ...kept]) socket.destroy();
  });

  it('has no privileges, no file, and a filter, and its reader neither', async () => {
    const egress = await start(['api.test:443']);
    const pids = group(Number(egress.running.child.pid));
    assert.equal(pids.length, 2);
    for (const pid of pids) {
      const status = statusOf(pid);
      for (const field of ['Uid', 'Gid']) assert.equal(status.get(field), Array(4).fill(UID).join('\t'));
      assert.equal(status.get('Groups'), '');
      for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
        assert.equal(status.get(set), '0'.repeat(16));
      assert.equal(status.get('NoNewPrivs'), '1');
      assert.equal(status.get('Seccomp'), '2');
      const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      for (const target of targets) assert.match(target, /^(socket|pipe):|^anon_inode:\[eventpoll\]$|^\/dev\/null$/);
    }
  });

  describe('finds names', () => {
    it("in the host's file, whatever else is in it, as it is now", async () => {
      const port = await echo();
      // Loopback is not for names: that it was found is seen by what is said.
      const hosts = `# comment\n\n127.0.0.1\n${'x'.repeat(20_000)} api.test\n0.0.0.0 blocked.test\n127.0.0.9  other.test  Api.Test # more`;
      const egress = await start([`api.test:${port}`, `new.test:${port}`], { files: { hosts, resolv: '' } });
      assert.equal(await exchange(egress.ports[0] ?? 0, HELLO), 'reset');
      await tells(
        egress,
        /^plugin-egress: no connection to api\.test:\d+: it leads to this host, to its link or to no host\n$/,
      );
      assert.equal(await exchange(egress.ports[1] ?? 0, HELLO), 'reset');
      await tells(egress, /new\.test:\d+: no address is known for it\n$/);
    });

    it('at a server, and asks it no more often than it says', async () => {
      const server = await serveNames((question) => [answerTo(question, [[192, 0, 2, 1]])]);
      const egress = await start(['api.test:9'], { files: { hosts: '', resolv: RESOLV } });
      const began = Date.now();
      // 192.0.2.1 is nobody's (RFC 5737); whether the way there is refused or silent is up to the machine.
      const tries = Array.from({ length: 50 }, () => connect({ host: '127.0.0.1', port: egress.ports[0] ?? 0 }));
      for (const socket of tries) socket.on('error', () => {});
      await egress.running.until('question', () => server.asked >= 2);
      await new Promise((resolve) => setTimeout(resolve, 500));
      assert.ok(server.asked <= 2 * (2 + (Date.now() - began) / 1000), `${server.asked} questions`);
      for (const socket of tries) socket.destroy();
    });

    it('never at places that names must not lead to', async () => {
      const places = [
        '127.0.0.1',
        '127.9.9.9',
        '0.0.0.0',
        '0.1.2.3',
        '169.254.169.254',
        '224.0.0.1',
        '240.0.0.1',
        '255.255.255.255',
      ];
      if (ownAddress !== undefined) places.push(ownAddress);
      let place: number[] = [];
      await serveNames((question) => [answerTo(question, [place])]);
      const port = await echo();
      const endpoints = places.map((_, index) => `n${index}.test:${port}`);
      const egress = await start(endpoints, { files: { hosts: '', resolv: RESOLV } });
      for (const [index, text] of places.entries()) {
        place = text.split('.').map(Number);
        assert.equal(await exchange(egress.ports[index] ?? 0, HELLO), 'reset', text);
      }
      const lines = () => egress.running.err.trim().split('\n');
      await egress.running.until('a line for each', () => lines().length === places.length);
      for (const line of lines()) assert.match(line, /it leads to this host, to its link or to no host$/);
    });

    it('not from whoever answers something else, and survives all that a server can say', async () => {
      let turn = 0;
      const strange: ((question: Buffer) => Buffer)[] = [
        () => Buffer.alloc(0),
        () => randomBytes(11),
        () => randomBytes(600),
        (question) => question,
        (question) => answerTo(question, [[192, 0, 2, 1]], { id: 1 }),
        (question) => answerTo(question, [[192, 0, 2, 1]], { flags: 0x0100 }),
        (question) => answerTo(question, [[192, 0, 2, 1]], { flags: 0x8900 }),
        (question) => answerTo(question, [[192, 0, 2, 1]], { count: 65_535 }),
        (question) => answerTo(question, [[192, 0, 2], [1, 2, 3, 4, 5], []]),
        (question) => answerTo(question, Array(200).fill([127, 0, 0, 1])),
        (question) => answerTo(question, [[127, 0, 0, 1]]).subarray(0, -3),
        (question) => Buffer.concat([answerTo(question, [], { count: 9 }), Buffer.from([0xc0])]),
        (question) => Buffer.concat([answerTo(question, [], { count: 9 }), Buffer.from([0x3f, 1, 2])]),
        (question) => Buffer.concat([answerTo(question, [], { count: 9 }), Buffer.from([0x80, 1, 2, 3])]),
        (question) =>
          Buffer.concat([
            answerTo(question, [], { count: 1 }),
            Buffer.from([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0xff, 0xff]),
          ]),
        (question) => {
          const bytes = answerTo(question, [[127, 0, 0, 1]]);
          for (let i = 0; i < 8; i++)
            bytes[12 + Math.floor(Math.random() * (bytes.length - 12))] = Math.floor(Math.random() * 256);
          return bytes;
        },
      ];
      // Each question gets a strange answer, or many, and then one that ends the matter.
      await serveNames((question) => {
        const make = strange[turn++ % strange.length];
        return [...(make === undefined ? [] : [make(question)]), answerTo(question, [[127, 0, 0, 1]])];
      });
      const endpoints = Array.from({ length: 60 }, (_, index) => `n${index}.test:1`);
      const egress = await start(endpoints, { files: { hosts: '', resolv: RESOLV } });
      for (const port of egress.ports) assert.equal(await exchange(port, HELLO), 'reset');
      assert.equal(egress.running.child.exitCode, null);
    });

    it('by the next server when one fails or is silent, and not for ever', async () => {
      let silent = false;
      const server = await serveNames((question) => (silent ? [] : [answerTo(question, [[127, 0, 0, 1]])]));
      const resolv = 'nameserver 127.0.0.154\nnameserver not-an-address\nnameserver 127.0.0.153\n';
      const egress = await start(['a.test:1', 'b.test:1'], { files: { hosts: '', resolv } });
      assert.equal(await exchange(egress.ports[0] ?? 0, HELLO), 'reset');
      assert.ok(server.asked > 0);
      await tells(egress, /a\.test:1: it leads to this host/);
      silent = true;
      const began = Date.now();
      assert.equal(await exchange(egress.ports[1] ?? 0, HELLO), 'reset');
      await tells(egress, /b\.test:1: no address is known/);
      assert.ok(Date.now() - began < 12_000, `${Date.now() - began} ms`);
    });
  });

  describe('ends', () => {
    it('with the control socket, and connections with it', async () => {
      const egress = await start([`127.0.0.1:${await echo()}`, 'name.test:1']);
      const socket = connect({ host: '127.0.0.1', port: egress.ports[0] ?? 0 });
      await new Promise((resolve) => socket.on('connect', resolve).on('error', () => {}));
      const closed = new Promise((resolve) => socket.on('close', resolve));
      const [reader] = group(Number(egress.running.child.pid));
      started.pop();
      assert.equal(await egress.stop(), 0);
      await closed;
      const isGone = (pid: number): boolean => {
        try {
          return statusOf(pid).get('State')?.startsWith('Z') === true;
        } catch {
          return true;
        }
      };
      await egress.running.until('end of the reader', () => isGone(reader ?? 0));
    });

    it('when anything but its sockets comes', async () => {
      const { read, write } = pipe();
      const one = listenTcp({ host: '127.0.0.1', port: 0, backlog: 5, reusePort: false });
      const cases: { readonly line: string; readonly sent: readonly number[] }[] = [
        { line: 'listeners 2\n', sent: [one] },
        { line: 'listeners 1\n', sent: [one, one] },
        { line: 'listeners 1\nx', sent: [one] },
        { line: 'listeners 1\n', sent: [read] },
        { line: 'hello\n', sent: [one] },
        { line: 'x'.repeat(5000), sent: [one] },
      ];
      for (const { line, sent } of cases) {
        const egress = await Egress.start(['127.0.0.1:1'], { line, listeners: sent });
        assert.equal(await egress.running.ended, 1, line.slice(0, 20));
        assert.equal(egress.said, '');
        await egress.stop();
      }
      for (const fd of [read, write, one]) closeSync(fd);
    });

    for (const [what, endpoints] of [
      ['without an endpoint', []],
      ['with too many', Array(65).fill('127.0.0.1:1')],
      ['with one without a port', ['127.0.0.1']],
      ['with port 0', ['127.0.0.1:0']],
      ['with half a bracket', ['[::1:80']],
      ['with an empty host', [':80']],
      ['with a name of strange characters', ['a_b:80']],
      ['with a name that is too long', [`${'a'.repeat(260)}:80`]],
    ] as const) {
      it(what, async () => {
        const egress = await Egress.start(endpoints, { line: '', listeners: [] });
        assert.equal(await egress.running.ended, 1, egress.running.err);
        assert.match(egress.running.err, /^plugin-egress: /);
        await egress.stop();
      });
    }
  });
});
