import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { listenUnix } from '../../src/kernel/native.ts';
import { problemOf } from './peer/conversation.ts';
import { NotifySocket } from './peer/notify-socket.ts';
import { dismissPeers, HANG_MS, Peer } from './peer/peer.ts';
import { kinds, Target, until } from './target.ts';

for (const kind of kinds())
  describe(`the life of a plugin (${kind.name})`, function () {
    this.timeout(3 * HANG_MS);
    const targets: Target[] = [];
    const start = async (options = {}): Promise<Target> => {
      const target = await Target.start(kind, options);
      targets.push(target);
      return target;
    };
    afterEach(async () => {
      await dismissPeers();
      await Promise.all(targets.splice(0).map((target) => target.remove()));
    });

    it('by hand begins with a friendly word: what is served, where, and how to try it', async () => {
      const target = await start();
      await until('a word', () => target.said.includes('\n'));
      assert.match(target.said, new RegExp(target.socket.replaceAll('.', '\\.')), target.said);
      assert.match(target.said, /echo/, target.said);
    });

    it('by hand takes over the socket of one that was killed', async () => {
      const first = await start();
      first.kill('SIGKILL');
      await first.ended;
      assert.ok(existsSync(first.socket));
      const second = await start({ directory: first.directory });
      assert.equal(await (await second.connect()).result('echo', 1), 1);
    });

    it('ends at once, with 0, when it is told to and nobody is there', async () => {
      const target = await start();
      target.kill('SIGTERM');
      assert.equal(await target.ended, 0, target.said);
    });

    it('goes on serving while it drains, until its clients have left', async () => {
      const target = await start();
      const peer = await target.connect();
      const slow = peer.ask('sleep', [800]);
      const stream = peer.ask('count', [50, 10], { stream: 1024 });
      await peer.until('the stream', () => (peer.talk.open.get(stream)?.items.length ?? 0) > 0);
      target.kill('SIGTERM');
      await peer.until('$drain', () => peer.talk.drained);
      assert.equal(await peer.result('echo', 'crossed it on its way'), 'crossed it on its way');
      assert.equal((await peer.answer(slow)).result, 'slept');
      assert.equal((await peer.answer(stream)).items.length, 50);
      await pause(1500);
      assert.ok(target.isRunning && !peer.isEnded, 'it waits for its clients, not for a time');
      await peer.leave();
      assert.equal(await target.ended, 0, target.said);
    });

    it('closes connections without the feature when they have rested for a second, and not before', async () => {
      const target = await start();
      const plain = await target.connect({ features: [] });
      const bare = await target.connect({ framed: false });
      assert.equal(await bare.result('echo', 1), 1);
      const busy = plain.ask('sleep', [1500]);
      await plain.result('echo', 'it has begun');
      target.kill('SIGTERM');
      const began = performance.now();
      await until('the bare one to end', () => bare.isEnded);
      assert.ok(performance.now() - began > 500, 'it rested for less than a second');
      assert.equal((await plain.answer(busy)).result, 'slept');
      await plain.ended;
      assert.equal(plain.talk.drained, false);
      assert.equal(await target.ended, 0, target.said);
    });

    it('tells clients that come while it drains, or has closed its door', async () => {
      const target = await start();
      const kept = await target.connect();
      target.kill('SIGTERM');
      await kept.until('$drain', () => kept.talk.drained);
      const late = await Peer.connect(target.socket).catch(() => undefined);
      if (late !== undefined && !late.isEnded)
        await Promise.race([late.until('$drain', () => late.talk.drained), late.ended]).catch(() => undefined);
      assert.ok(late === undefined || late.isEnded || late.talk.drained);
      await late?.leave();
      await kept.leave();
      assert.equal(await target.ended, 0, target.said);
    });

    it('has methods of an old client ended when it is killed, and its clients know at once', async () => {
      const target = await start();
      const peer = await target.connect();
      peer.ask('sleep', [600_000]);
      await peer.result('$ping');
      target.kill('SIGKILL');
      await peer.ended;
      assert.equal(peer.talk.reason, undefined);
    });

    it('says READY=1 and STOPPING=1 to whoever wants to know', async () => {
      const notify = await NotifySocket.open();
      try {
        const target = await start({ environment: { NOTIFY_SOCKET: notify.path } });
        await notify.until(/^READY=1$/m);
        target.kill('SIGTERM');
        await notify.until(/^STOPPING=1$/m);
        assert.equal(await target.ended, 0, target.said);
      } finally {
        notify.close();
      }
    });

    it('says that it lives as often as it is asked to, also while it drains', async () => {
      const notify = await NotifySocket.open();
      try {
        const environment = { NOTIFY_SOCKET: notify.path, WATCHDOG_USEC: '200000' };
        const target = await start({ environment });
        await notify.until(/^READY=1$(?:[\s\S]*^WATCHDOG=1$){3}/m);
        const peer = await target.connect();
        target.kill('SIGTERM');
        await notify.until(/^STOPPING=1$(?:[\s\S]*^WATCHDOG=1$){2}/m);
        await peer.leave();
        assert.equal(await target.ended, 0, target.said);
      } finally {
        notify.close();
      }
    });

    it('serves on the inherited socket that is called rpc, and binds none itself', async () => {
      const directory = mkdtempSync(join(tmpdir(), 'bulkhead-inherited-'));
      const path = join(directory, 'given.sock');
      const [other, listener] = [join(directory, 'other.sock'), path].map((each) =>
        listenUnix({ path: each, backlog: 64, mode: 0o600 }),
      );
      assert.ok(other !== undefined && listener !== undefined);
      const environment = { LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:rpc', BULKHEAD_RPC_SOCKET: '' };
      const target = Target.spawn(kind, { descriptors: [other, listener], environment });
      targets.push(target);
      closeSync(other);
      closeSync(listener);
      try {
        const peer = await Peer.connect(path);
        assert.equal(await peer.result('echo', 'inherited'), 'inherited');
        assert.equal(existsSync(target.socket), false);
        // Nobody accepts at the other one: a request there stays without an answer.
        const stranger = createConnection(join(directory, 'other.sock'));
        stranger.on('error', () => undefined);
        stranger.write(peer.bytesOf([0, 1, 'echo', [1]]));
        let answered = false;
        stranger.on('data', () => {
          answered = true;
        });
        await pause(300);
        assert.equal(answered, false);
        stranger.destroy();
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    });

    it('tells of its sandbox in the greeting', async () => {
      const environment = {
        BULKHEAD_PLUGIN: 'retrieval',
        BULKHEAD_VERSION: 'v7',
        BULKHEAD_SANDBOX: 'plugin-retrieval-a-g17',
      };
      const { server } = await (await start({ environment })).connect();
      assert.deepEqual([server.plugin, server.version], ['retrieval', 'v7']);
      assert.match(String(server.sandbox), /17/);
    });

    it('ends a blocked loop by no clean word, but answers what it could when that is over', async () => {
      const target = await start();
      const peer = await target.connect();
      const blocked = peer.ask('block', [400], { deadline: 100 });
      const { error } = await peer.answer(blocked);
      assert.ok(error === undefined || problemOf(error)?.code === 'deadline-exceeded', JSON.stringify(error));
      assert.equal(await peer.result('echo', 'well'), 'well');
    });
  });
