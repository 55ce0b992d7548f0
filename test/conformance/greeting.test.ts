import assert from 'node:assert/strict';
import { FEATURES } from './peer/peer.ts';
import { forEachTarget } from './target.ts';

forEachTarget('the greeting', (target) => {
  it('is answered with what the server is and can', async () => {
    const { server } = await target().connect();
    assert.equal(server.protocol, 1);
    const frame = Number(server.frame);
    assert.ok(Number.isInteger(frame) && frame >= 65_536 && frame <= 67_108_864, `${server.frame}`);
    const window = Number(server.window);
    assert.ok(Number.isInteger(window) && window >= 1 && window <= 1024, `${server.window}`);
    assert.match(String(server.sdk), /^[a-z]+\/\d+\.\d+\.\d+/);
    for (const feature of FEATURES)
      assert.ok(Array.isArray(server.features) && server.features.includes(feature), feature);
    // Nobody has said that this is a sandbox.
    assert.deepEqual([server.plugin, server.version, server.sandbox], [null, null, null]);
  });

  it('of another protocol is refused by name, and calls are served without one', async () => {
    const peer = await target().connect({ greet: false });
    const { code, data } = await peer.problem('$hello', [{ protocol: 2, frame: 1 << 20, features: [] }]);
    assert.equal(code, 'unsupported-protocol');
    assert.deepEqual(data, { protocol: [1] });
    const context = await peer.result('context');
    assert.equal((context as { greeted: unknown }).greeted, false);
  });

  it('may name features and keys that nobody knows', async () => {
    const peer = await target().connect({ greet: false });
    const hello = { protocol: 1, frame: 1 << 20, features: ['cancel', 'telepathy'], name: 'conformance', mood: 'good' };
    const { error } = await peer.call('$hello', [hello]);
    assert.equal(error, undefined);
    peer.talk.features = ['cancel'];
    assert.equal(await peer.result('echo', 1), 1);
  });

  it('is not needed', async () => {
    const peer = await target().connect({ greet: false });
    assert.equal(await peer.result('add', 20, 22), 42);
    assert.deepEqual(await peer.result('count', 3), [0, 1, 2]);
    assert.equal((await peer.problem('nothing')).code, 'unknown-method');
    const context = await peer.result('context');
    assert.equal((context as { greeted: unknown }).greeted, false);
  });

  it('with too small or too large a frame limit is wrong', async () => {
    for (const frame of [0, 65_535, 67_108_865, -1, 'much']) {
      const peer = await target().connect({ greet: false });
      const { code } = await peer.problem('$hello', [{ protocol: 1, frame, features: [] }]);
      assert.equal(code, 'bad-params', `${frame}`);
    }
  });

  it('that is wrong, or comes twice, is answered as such, and the server is well', async () => {
    const wrong = [[], [null], ['hello'], [{}], [{ protocol: 'one' }], [{ protocol: 1, frame: 70_000, features: 1 }]];
    for (const params of wrong) {
      const peer = await target().connect({ greet: false });
      assert.equal((await peer.problem('$hello', params)).code, 'bad-params', JSON.stringify(params));
      assert.equal(await peer.result('echo', 'well'), 'well');
    }
    const peer = await target().connect();
    assert.equal((await peer.problem('$hello', [{ protocol: 1, frame: 70_000, features: [] }])).code, 'bad-params');
    assert.equal(await peer.result('echo', 'well'), 'well');
  });

  it('makes the server obey the frame limit of the client', async () => {
    const peer = await target().connect({ frame: 65_536 });
    const { code } = await peer.problem('bytes', [70_000]);
    assert.equal(code, 'too-large');
    assert.equal(((await peer.result('bytes', 65_000)) as Buffer).length, 65_000);
    // Parts that fit one by one, and not all together.
    const text = 'x'.repeat(40_000);
    assert.equal((await peer.problem('echo', [[text, text]])).code, 'too-large');
    assert.equal(await peer.result('echo', text), text);
  });

  it('leaves out what the client has not named', async () => {
    const peer = await target().connect({ features: [] });
    assert.equal(await peer.result('echo', 1), 1);
    // Without the feature there is neither stream nor item: all parts come at once.
    const { error, result, items } = await peer.call('count', [3]);
    assert.deepEqual([error, result, items], [undefined, [0, 1, 2], []]);
  });

  it('is told of to the method', async () => {
    const peer = await target().connect();
    assert.equal(((await peer.result('context')) as { greeted: unknown }).greeted, true);
  });
});
