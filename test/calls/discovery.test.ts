import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { forEachIsolation } from '../support/isolation.ts';
import { pause } from '../support/load.ts';
import {
  declare,
  killSupervisor,
  must,
  readySandboxes,
  run,
  status,
  supervisorBack,
  supervisorPid,
  systemctl,
  uninstall,
  until,
  untilWhole,
} from '../support/system.ts';
import { placeVersion, upgrade } from '../upgrades/versions.ts';
import { Follower } from './follower.ts';

/** A connection to a sandbox's socket for calls, of which each line is answered. */
class Talk {
  readonly answers: string[] = [];
  ended = false;
  failure: string | undefined;
  readonly #socket: Socket;

  constructor(path: string) {
    this.#socket = connect(path);
    this.#socket.on('data', (chunk: Buffer) => this.answers.push(...chunk.toString().split('\n').filter(Boolean)));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => {
      this.failure = error.code;
    });
    this.#socket.on('close', () => {
      this.ended = true;
    });
  }

  async ask(line: string): Promise<string> {
    const before = this.answers.length;
    this.#socket.write(`${line}\n`);
    await until(`an answer to '${line}'`, () => this.answers.length > before || this.ended);
    return this.answers[before] ?? this.failure ?? 'ended';
  }

  release(): void {
    this.#socket.destroy();
  }
}

forEachIsolation('sockets for calls and their discovery', function (isolation) {
  this.timeout(240_000);
  const name = `plain-${isolation}`;
  const owned: { release(): void }[] = [];
  const own = <One extends { release(): void }>(one: One): One => {
    owned.push(one);
    return one;
  };
  const talk = (path: string): Talk => own(new Talk(path));

  async function start(...lines: readonly string[]): Promise<Follower> {
    for (const version of ['v1', 'v2']) placeVersion(name, version, 'calls/plain');
    declare(name, ['template: python', 'version: v1', 'rpc: { group: nogroup, mode: 0640 }', ...lines]);
    await systemctl('start', `plugin@${name}`);
    return own(new Follower(name));
  }

  afterEach(async () => {
    for (const one of owned.splice(0)) one.release();
    await uninstall(name);
  });

  it('are there without any other listener, are the sandbox’s own, and go with it', async () => {
    const follower = await start('pool: { size: 2 }');
    await untilWhole(name, 2);
    const told = await follower.untilTold('two that are ready', (all) => all.length === 2);
    for (const { generation, socket, ...rest } of told) {
      assert.deepEqual(rest, { slot: 'a', version: 'v1', state: 'ready', score: 100, weight: 100 });
      assert.equal(socket, `/run/bulkhead/rpc/${name}/${generation}`);
      assert.equal(await talk(socket).ask('hello'), `${name}-a-g${generation} hello`);
      for (const path of [socket, `/run/bulkhead/discovery/${name}`]) {
        const { mode, uid, gid } = statSync(path);
        const nogroup = Number((await must('getent', 'group', 'nogroup')).split(':')[2]);
        assert.deepEqual([mode & 0o7777, uid, gid], [0o640, 0, nogroup], path);
      }
    }
    const { calls } = await status(name);
    assert.deepEqual(
      { ...calls, clients: (calls?.clients ?? 0) > 0 },
      {
        discovery: `/run/bulkhead/discovery/${name}`,
        directory: `/run/bulkhead/rpc/${name}`,
        access: 'root:nogroup 0640',
        clients: true,
      },
    );
    const audit = await run('bulkheadctl', 'audit', name);
    assert.equal(audit.status, 0, audit.stdout + audit.stderr);
    await systemctl('stop', `plugin@${name}`);
    await until('the last list', () => follower.sandboxes.length === 0);
    await until('no path is left', () => told.every(({ socket }) => !existsSync(socket)));
    for (const path of [`/run/bulkhead/discovery/${name}`, `/run/bulkhead/rpc/${name}`])
      await until(`'${path}' is gone`, () => !existsSync(path));
    assert.deepEqual(follower.crashes, []);
  });

  it('refuse calls as soon as a sandbox is dead, of which clients are told with its incident', async () => {
    const follower = await start('pool: { size: 1, standby: 1 }');
    await untilWhole(name, 2);
    const [first, second] = await follower.untilTold(
      'one that serves and a standby',
      (all) => all.map(({ state }) => state).join() === 'ready,standby',
    );
    assert.ok(first !== undefined && second !== undefined);
    const [served, spare] = [talk(first.socket), talk(second.socket)];
    // Clients may connect to a standby, though they do not call it: nothing holds its accept() back.
    assert.match(await spare.ask('beforehand'), /beforehand$/);
    assert.match(await served.ask('hello'), /hello$/);
    const [victim] = (await readySandboxes(name)).filter(({ generation }) => generation === first.generation);
    process.kill(victim?.payloadPid ?? 0, 'SIGKILL');
    await until('the connection is ended', () => served.ended);
    const crash = await follower.crashOf(first.generation);
    assert.deepEqual([crash.class, crash.text], ['crash', 'killed by SIGKILL']);
    assert.match(await talk(first.socket).ask('is anybody there?'), /^(ECONNREFUSED|ENOENT)$/);
    assert.match(await must('bulkheadctl', 'incidents', 'show', crash.incident ?? 'none'), /SIGKILL/);
    await follower.untilTold('the promoted one and a new standby', (all) => {
      const states = all.map(({ generation, state }) => `${generation} ${state}`);
      return states.length === 2 && states[0] === `${second.generation} ready` && / standby$/.test(states[1] ?? '');
    });
    assert.match(await spare.ask('afterwards'), /afterwards$/);
    await until('its path is gone', () => !existsSync(first.socket));
  });

  it('go on while there is no supervisor, and the next one tells what happened meanwhile', async () => {
    const follower = await start('pool: { size: 2 }');
    await untilWhole(name, 2);
    const [first, second] = await follower.untilTold('both', (all) => all.length === 2);
    assert.ok(first !== undefined && second !== undefined);
    const [one, other] = [talk(first.socket), talk(second.socket)];
    assert.match(await one.ask('before'), /before$/);
    const lists = follower.lists.length;
    await killSupervisor();
    await until('it is connected again', () => follower.lists.length > lists);
    assert.deepEqual(follower.sandboxes, [first, second]);
    assert.match(await one.ask('after'), /after$/);
    assert.match(await other.ask('after'), /after$/);
    const victim = (await readySandboxes(name)).find(({ generation }) => generation === first.generation);
    const pid = await supervisorPid();
    process.kill(pid, 'SIGKILL');
    process.kill(victim?.payloadPid ?? 0, 'SIGKILL');
    await supervisorBack(pid);
    const crash = await follower.crashOf(first.generation);
    assert.match(crash.incident ?? 'none', new RegExp(`-${name}-\\d+$`));
    await follower.untilTold('the next one', (all) => all.length === 2 && all[0]?.generation === second.generation);
    assert.match(await other.ask('after all'), /after all$/);
  });

  it('are there in each sandbox, at whatever moment of its start the supervisor dies', async () => {
    const follower = await start('pool: { size: 2 }');
    await untilWhole(name, 2);
    for (const waitMs of [0, 30, 60, 90, 120, 160, 200, 300]) {
      await systemctl('stop', `plugin@${name}`);
      await until('no path is left', () => !existsSync(`/run/bulkhead/rpc/${name}`));
      await systemctl('start', '--no-block', `plugin@${name}`);
      await pause(waitMs);
      await killSupervisor();
      await untilWhole(name, 2);
      const told = await follower.untilTold('both', (all) => all.filter(({ state }) => state === 'ready').length === 2);
      for (const { generation, socket } of told) {
        const answer = await talk(socket).ask('hello');
        assert.equal(answer, `${name}-a-g${generation} hello`, `killed after ${waitMs} ms`);
      }
    }
  });

  it('tell the shares of an upgrade, and who is on its way out', async () => {
    const follower = await start(
      'pool: { size: 1 }',
      'upgrade: { canary: [30%], bake: 1s, drain: 5s, judge: { few: promote } }',
    );
    await untilWhole(name, 1);
    await follower.untilTold('the first one', (all) => all.length === 1);
    const { outcome, reason } = await upgrade(name, 'v2');
    assert.deepEqual({ outcome, reason }, { outcome: 'promoted', reason: null });
    const shares = follower.lists.map((list) =>
      list.map(({ version, state, weight }) => `${version} ${state} ${weight}`).join(', '),
    );
    const expected = [
      'v1 ready 100',
      'v1 ready 100, v2 ready 0',
      'v1 ready 70, v2 ready 30',
      'v1 ready 0, v2 ready 100',
      'v1 draining 0, v2 ready 100',
      'v2 ready 100',
    ];
    assert.deepEqual(
      shares.filter((share, index) => share !== shares[index - 1]),
      expected,
    );
  });
});
