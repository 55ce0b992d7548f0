import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from './peer/crc32.ts';
import { dismissPeers, HANG_MS, type Peer } from './peer/peer.ts';
import { kinds, Target } from './target.ts';

/** The files are judged by docs/checkpoints.md, whatever the SDK says of them. */
for (const kind of kinds())
  describe(`what is kept for later (${kind.name})`, function () {
    this.timeout(3 * HANG_MS);
    let directory: string;
    const targets: Target[] = [];
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'bulkhead-state-'));
    });
    afterEach(async () => {
      await dismissPeers();
      await Promise.all(targets.splice(0).map((target) => target.remove()));
      rmSync(directory, { recursive: true, force: true });
    });

    async function start(): Promise<{ target: Target; peer: Peer }> {
      const target = await Target.start(kind, { directory });
      targets.push(target);
      return { target, peer: await target.connect() };
    }
    async function again(target: Target): Promise<{ target: Target; peer: Peer }> {
      target.kill('SIGKILL');
      await target.ended;
      return start();
    }
    const checkpoints = () => join(directory, 'state', 'checkpoint');
    const journals = () => join(directory, 'state', 'journal');
    const names = (of: string) => readdirSync(of).sort();

    it('is found again after a kill, the newest of it', async () => {
      const { target, peer } = await start();
      assert.equal(await peer.result('load', 'index', 2), null);
      await peer.result('save', 'index', 2, Buffer.from('first'));
      await peer.result('save', 'index', 2, Buffer.from('second'));
      const next = await again(target);
      assert.deepEqual(await next.peer.result('load', 'index', 2), Buffer.from('second'));
      assert.equal(await next.peer.result('load', 'other', 2), null);
    });

    it('is a file of the form that is documented', async () => {
      const { peer } = await start();
      const content = Buffer.alloc(100_000, 7);
      await peer.result('save', 'index', 4_294_967_295, content);
      assert.deepEqual(names(checkpoints()), ['index.4294967295']);
      const bytes = readFileSync(join(checkpoints(), 'index.4294967295'));
      assert.equal(bytes.subarray(0, 8).toString(), 'BKCHK001');
      assert.equal(bytes.readUInt32BE(8), crc32(bytes.subarray(12)));
      assert.ok(Math.abs(Number(bytes.readBigUInt64BE(12)) - Date.now()) < 60_000);
      assert.deepEqual(bytes.subarray(20), content);
    });

    it('may be one that another SDK has written', async () => {
      mkdirSync(checkpoints(), { recursive: true });
      writeFileSync(join(checkpoints(), 'index.1'), checkpointOf(Buffer.from('from elsewhere')));
      const { peer } = await start();
      assert.deepEqual(await peer.result('load', 'index', 1), Buffer.from('from elsewhere'));
    });

    it('is that of the highest schema that the program knows; others stay for a way back', async () => {
      const { peer } = await start();
      for (const schema of [1, 2, 10]) await peer.result('save', 'index', schema, Buffer.from(`of ${schema}`));
      assert.deepEqual(await peer.result('load', 'index', 10), Buffer.from('of 10'));
      assert.deepEqual(await peer.result('load', 'index', 9), Buffer.from('of 2'));
      assert.deepEqual(await peer.result('load', 'index', 1), Buffer.from('of 1'));
      assert.equal(await peer.result('load', 'index', 0), null);
      await peer.result('save', 'index', 11, Buffer.from('of 11'));
      await peer.result('save', 'index', 12, Buffer.from('of 12'));
      assert.deepEqual(names(checkpoints()), ['index.10', 'index.11', 'index.12', 'index.2']);
    });

    it('is passed over and put aside when it is damaged', async () => {
      const { target, peer } = await start();
      await peer.result('save', 'index', 1, Buffer.from('old'));
      await peer.result('save', 'index', 2, Buffer.from('new'));
      const file = join(checkpoints(), 'index.2');
      const bytes = readFileSync(file);
      bytes.writeUInt8(bytes.readUInt8(21) ^ 1, 21);
      writeFileSync(file, bytes);
      const next = await again(target);
      assert.deepEqual(await next.peer.result('load', 'index', 2), Buffer.from('old'));
      assert.deepEqual(names(checkpoints()), ['index.1', 'index.2.damaged']);
    });

    it('is passed over when it is cut, empty or of another kind, and no other name is taken for it', async () => {
      mkdirSync(checkpoints(), { recursive: true });
      const good = checkpointOf(Buffer.from('good'));
      const damaged: Record<string, Buffer> = {
        'index.5': Buffer.alloc(0),
        'index.4': good.subarray(0, good.length - 1),
        'index.3': Buffer.concat([Buffer.from('BKCHK999'), good.subarray(8)]),
      };
      const others = ['index.02', 'index.-1', 'index.4294967296', '.index.2.abcdef', 'index2.2', 'index.2.damaged'];
      for (const [name, bytes] of Object.entries(damaged)) writeFileSync(join(checkpoints(), name), bytes);
      for (const name of others) writeFileSync(join(checkpoints(), name), checkpointOf(Buffer.from(name)));
      writeFileSync(join(checkpoints(), 'index.1'), good);
      const { peer } = await start();
      assert.deepEqual(await peer.result('load', 'index', 9), Buffer.from('good'));
    });

    it('has no name that leads elsewhere', async () => {
      const { peer } = await start();
      for (const name of ['', '../escape', 'a/b', 'Upper', '.hidden', 'x'.repeat(65), 'nul\0'])
        await peer.problem('save', [name, 1, Buffer.from('x')]);
      for (const schema of [-1, 4_294_967_296, 1.5, 'one'])
        await peer.problem('save', ['index', schema, Buffer.from('x')]);
      assert.deepEqual(
        readdirSync(directory, { recursive: true }).filter((name) => String(name).includes('escape')),
        [],
      );
    });

    it('keeps work that was accepted, and hands each once to the next one', async () => {
      const { target, peer } = await start();
      const ids: unknown[] = [];
      for (const work of ['one', 'two', 'three']) ids.push(await peer.result('accept', Buffer.from(work)));
      assert.ok(ids.every((id) => Buffer.isBuffer(id) && id.length === 16));
      await peer.result('finish', ids[1] as Buffer);
      const next = await again(target);
      assert.deepEqual(await next.peer.result('replay'), [Buffer.from('one'), Buffer.from('three')]);
      assert.deepEqual(await next.peer.result('replay'), []);
      const last = await again(next.target);
      assert.deepEqual(await last.peer.result('replay'), []);
      assert.ok(names(journals()).length <= 1, names(journals()).join());
    });

    it('leaves the journal of one that lives alone', async () => {
      const { peer } = await start();
      await peer.result('accept', Buffer.from('mine'));
      const elsewhere = mkdtempSync(join(tmpdir(), 'bulkhead-state-'));
      try {
        const environment = { STATE_DIRECTORY: join(directory, 'state') };
        const second = await Target.start(kind, { directory: elsewhere, environment });
        targets.push(second);
        assert.deepEqual(await (await second.connect()).result('replay'), []);
      } finally {
        rmSync(elsewhere, { recursive: true, force: true });
      }
    });

    it('is a journal of the form that is documented, cut when nothing is open', async () => {
      const { peer } = await start();
      const id = (await peer.result('accept', Buffer.from('work'))) as Buffer;
      const [name = ''] = names(journals());
      assert.match(name, /^by-hand-[0-9a-f]{8}\.log$/);
      const record = Buffer.concat([Buffer.of(1), id, Buffer.from('work')]);
      assert.deepEqual(readFileSync(join(journals(), name)), recordOf(record));
      await peer.result('finish', id);
      assert.equal(readFileSync(join(journals(), name)).length, 0);
    });

    it('replays what another SDK has left, as far as it is whole, and no more than once', async () => {
      mkdirSync(journals(), { recursive: true });
      const [one, two, three, four] = [1, 2, 3, 4].map((each) => Buffer.alloc(16, each));
      assert.ok(one !== undefined && two !== undefined && three !== undefined && four !== undefined);
      const accepted = (id: Buffer, text: string) => recordOf(Buffer.concat([Buffer.of(1), id, Buffer.from(text)]));
      const whole = [
        accepted(one, 'finished'),
        accepted(two, 'handed out'),
        accepted(three, 'open'),
        recordOf(Buffer.concat([Buffer.of(2), one])),
        recordOf(Buffer.concat([Buffer.of(3), two])),
        accepted(four, 'cut in its middle').subarray(0, 30),
      ];
      writeFileSync(join(journals(), 'elsewhere-01234567.log'), Buffer.concat(whole));
      const { peer } = await start();
      assert.deepEqual(await peer.result('replay'), [Buffer.from('open')]);
      assert.ok(!names(journals()).includes('elsewhere-01234567.log'));
      assert.deepEqual(await peer.result('replay'), []);
    });

    it('refuses work over 1 MiB', async () => {
      const { peer } = await start();
      await peer.problem('accept', [Buffer.alloc(1_048_577)]);
      const id = await peer.result('accept', Buffer.alloc(1_048_576));
      assert.ok(Buffer.isBuffer(id));
    });
  });

function recordOf(payload: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(payload.length, 0);
  head.writeUInt32BE(crc32(payload), 4);
  return Buffer.concat([head, payload]);
}

function checkpointOf(content: Buffer): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Date.now()));
  const rest = Buffer.concat([time, content]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(rest));
  return Buffer.concat([Buffer.from('BKCHK001'), sum, rest]);
}
