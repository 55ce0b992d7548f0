import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectOptions, connect, type PluginClient } from '../../../../src/rpc/client/client.ts';
import { DiscoveryServer } from '../../../support/discovery-server.ts';
import { failureOf } from '../../../support/failure-of.ts';
import { RpcServer, type Script } from '../../../support/rpc-server.ts';
import { until } from '../../../support/until.ts';

const INCIDENT = '20261126T101500-test-1';

function never(): void {}

describe('rpc client: the sandboxes of a plugin', () => {
  const directory = mkdtempSync(join(tmpdir(), 'client-'));
  let count = 0;
  let path = '';
  let discovery: DiscoveryServer;
  let servers: RpcServer[];
  let client: PluginClient;

  /** Servers of generations 1, 2, ..., told of as ready. */
  async function start(scripts: readonly Script[], options: ConnectOptions = {}): Promise<void> {
    servers = await Promise.all(scripts.map((script, index) => RpcServer.listen(socketOf(index + 1), script)));
    discovery.sandboxes(...servers.map((_, index) => sandbox(index + 1)));
    client = connect('test', { discovery: path, ...options });
    await until(() => client.statistics().sandboxes.filter(({ serves }) => serves).length === scripts.length);
  }

  function socketOf(generation: number): string {
    return join(directory, `${count}-${generation}.sock`);
  }

  function sandbox(generation: number, more: Readonly<Record<string, unknown>> = {}) {
    return { generation, socket: socketOf(generation), ...more };
  }

  /** How many calls each server got. */
  function got(): number[] {
    return servers.map(({ requests }) => requests.length);
  }

  beforeEach(async () => {
    count++;
    path = join(directory, `${count}.discovery`);
    discovery = await DiscoveryServer.listen(path);
    servers = [];
  });
  afterEach(async () => {
    discovery.die();
    for (const server of servers) server.die();
    await client.close();
  });
  after(() => rmSync(directory, { recursive: true }));

  it('share the calls, and those of low health get fewer', async () => {
    await start([{}, {}]);
    discovery.sandboxes(sandbox(1), sandbox(2, { score: 10 }));
    await until(() => client.statistics().sandboxes[1]?.score === 10);
    await Promise.all(Array.from({ length: 60 }, (_, index) => client.call('echo', [index])));
    const [healthy = 0, ill = 0] = got();
    assert.equal(healthy + ill, 60);
    assert.ok(ill > 0 && ill < 20, `${ill} of 60 calls for a tenth of the score`);
  });

  it('get calls by the weight of their slot', async () => {
    await start([{}, {}]);
    discovery.sandboxes(sandbox(1, { weight: 90 }), sandbox(2, { slot: 'b', weight: 10 }));
    await until(() => client.statistics().sandboxes[1]?.slot === 'b');
    for (let call = 0; call < 500; call++) await client.call('echo', [call]);
    const [live = 0, canary = 0] = got();
    assert.equal(live + canary, 500);
    // The chance of another outcome is below one in a million: 50 are expected, with a deviation of 6.7.
    assert.ok(canary > 15 && canary < 90, `${canary} of 500 calls for 10 %`);
  });

  it('are called only when they are ready, and have connections before that', async () => {
    await start([{}, {}, {}, {}]);
    discovery.sandboxes(
      sandbox(1, { state: 'standby' }),
      sandbox(2),
      sandbox(3, { state: 'shut' }),
      sandbox(4, { state: 'draining' }),
    );
    await until(() => client.statistics().sandboxes.filter(({ serves }) => serves).length === 1);
    for (let call = 0; call < 20; call++) await client.call('echo', [call]);
    assert.deepEqual(got(), [0, 20, 0, 0]);
    assert.deepEqual(
      servers.slice(0, 2).map(({ connections }) => connections.size),
      [1, 1],
    );
    await until(() => servers[3]?.connections.size === 0);
  });

  it('that die lose no call that may be repeated', async () => {
    await start([{ request: never }, { request: never }], { idempotent: ['read'] });
    const calls = Array.from({ length: 20 }, (_, index) => client.call('read', [index]));
    await until(() => got().reduce((sum, each) => sum + each, 0) === 20);
    for (const server of servers) server.script = {};
    // Those in the hands of the other one are never answered by it, so it has to go, too.
    servers[0]?.die();
    servers[1]?.die();
    servers.push(await RpcServer.listen(socketOf(3)));
    discovery.sandboxes(sandbox(3));
    assert.deepEqual(
      await Promise.all(calls),
      calls.map((_, index) => index),
    );
  });

  it('that die fail what may not be repeated at once, with the name of the incident', async () => {
    await start([{ request: never }, {}]);
    discovery.sandboxes(sandbox(1));
    await until(() => client.statistics().sandboxes.length === 1);
    const call = client.call('write', []);
    await until(() => got()[0] === 1);
    servers[0]?.die();
    discovery.crash(1, null);
    await until(() => client.statistics().sandboxes.length === 0);
    discovery.crash(1, INCIDENT);
    const error = await failureOf(call);
    assert.equal(error.code, 'sandbox-died');
    assert.equal(error.incident, INCIDENT);
    assert.equal(error.class, 'crash');
    assert.equal(error.generation, 1);
    assert.equal(error.begun, 'unknown');
    assert.match(error.message, /generation 1 .* died: killed by SIGSEGV; incident 20261126T101500-test-1/);
  });

  it('that are said to be dead lose their calls, even if their connections live on', async () => {
    await start([{ request: never }]);
    const call = client.call('write', []);
    await until(() => got()[0] === 1);
    discovery.crash(1, INCIDENT);
    const error = await failureOf(call);
    assert.equal(error.code, 'sandbox-died');
    assert.equal(error.incident, INCIDENT);
    await until(() => servers[0]?.connections.size === 0);
  });

  it('that die unexplained fail calls after a while all the same', async () => {
    await start([{ request: never }]);
    const call = client.call('write', [], { timeoutMs: 60_000 });
    await until(() => got()[0] === 1);
    servers[0]?.die();
    const error = await failureOf(call);
    assert.equal(error.code, 'sandbox-died');
    assert.equal(error.incident, undefined);
  });

  it('are called on while nobody tells of them, and followed again afterwards', async () => {
    await start([{}, {}]);
    discovery.die();
    await until(() => client.statistics().discovery === false);
    for (let call = 0; call < 20; call++) await client.call('echo', [call]);
    assert.equal(
      got().reduce((sum, each) => sum + each, 0),
      20,
    );
    rmSync(path, { force: true });
    discovery = await DiscoveryServer.listen(path);
    discovery.sandboxes(sandbox(2));
    await until(() => client.statistics().sandboxes.length === 1);
    assert.equal(client.statistics().discovery, true);
    assert.equal(await client.call('echo', ['on']), 'on');
  });

  it('that are not told of any more end what they have in hand', async () => {
    const held: (() => void)[] = [];
    await start([{ request: ({ id }, connection) => held.push(() => connection.send([1, id, null, 'old'])) }]);
    const call = client.call('long', []);
    await until(() => held.length === 1);
    servers.push(await RpcServer.listen(socketOf(2)));
    discovery.sandboxes(sandbox(2));
    await until(() => client.statistics().sandboxes.some(({ generation, serves }) => generation === 2 && serves));
    assert.equal(await client.call('echo', ['new']), 'new');
    held[0]?.();
    assert.equal(await call, 'old');
    await until(() => client.statistics().sandboxes.length === 1);
  });

  it('that refuse a call without having begun are passed over', async () => {
    const refuse: Script = {
      request: ({ id }, connection) =>
        connection.send([1, id, { code: 'overloaded', message: 'too much', retry: true }, null]),
    };
    await start([refuse, {}]);
    for (let call = 0; call < 10; call++) assert.equal(await client.call('write', [call]), call);
    assert.ok(client.statistics().calls.retries > 0);
    if (servers[1] !== undefined) servers[1].script = refuse;
    const error = await failureOf(client.call('write', []));
    assert.equal(error.code, 'overloaded');
    assert.equal(error.begun, 'no');
  });

  it('race for a call that is hedged, and the one that loses is told', async () => {
    await start([{ request: never }, {}], { hedgeAfterMs: 20, slowMs: 60_000 });
    for (let call = 0; call < 12; call++) assert.equal(await client.call('read', [call], { idempotent: true }), call);
    const { hedges, succeeded } = client.statistics().calls;
    assert.equal(succeeded, 12);
    assert.equal(hedges, got()[0]);
    await until(() => servers[0]?.notifications.length === hedges);
    // Without leave to repeat there is no race.
    const abort = new AbortController();
    const calls = Array.from({ length: 8 }, () => client.call('write', [0], { signal: abort.signal }));
    calls.push(...Array.from({ length: 8 }, () => client.call('read', [0], { idempotent: true })));
    setTimeout(() => abort.abort(), 100);
    await Promise.allSettled(calls);
    assert.equal(servers.flatMap(({ requests }) => requests).filter(({ method }) => method === 'write').length, 8);
  });

  it('are told of, and so are calls, to whoever subscribes', async () => {
    const seen: string[] = [];
    const names = ['bulkhead:call:start', 'bulkhead:call:end', 'bulkhead:call:error', 'bulkhead:discovery'];
    const listeners = names.map((name) => {
      const listener = (): void => void seen.push(name);
      subscribe(name, listener);
      return () => unsubscribe(name, listener);
    });
    try {
      await start([{}]);
      await client.call('echo', [1]);
      await failureOf(client.call('echo', [new Date()]));
    } finally {
      for (const release of listeners) release();
    }
    assert.ok(seen.includes('bulkhead:discovery'));
    assert.deepEqual(
      seen.filter((name) => name !== 'bulkhead:discovery'),
      ['bulkhead:call:start', 'bulkhead:call:end', 'bulkhead:call:start', 'bulkhead:call:error', 'bulkhead:call:end'],
    );
  });

  it('stay as they were when what is told is not understood', async () => {
    await start([{}]);
    const { accepted } = discovery;
    discovery.raw('{"discovery": 1, "plugin": "test", "sandboxes": [{"generation": -1}]}\n');
    await until(() => discovery.accepted > accepted);
    assert.equal(await client.call('echo', ['on']), 'on');
  });
});
