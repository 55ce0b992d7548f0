import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT } from '../unit/project.ts';
import { forEachTarget, until } from './target.ts';

const PEER = join(PROJECT, 'test/conformance/peer/descriptors.py');
/** SDKs that take descriptors as such. */
const TAKES_DESCRIPTORS = ['python', 'c'];
const SIZE = 300_000;

interface Outcome {
  readonly body?: false;
  readonly result?: number | string;
  readonly as?: 'body' | 'binary';
  readonly right?: boolean;
  readonly sealed?: boolean;
  readonly closed?: string | null;
}

/** By a peer that is not made of our own messages. */
forEachTarget('files in memory', (target, kind) => {
  async function act(which: string): Promise<Outcome> {
    const { stdout } = await promisify(execFile)('python3', [PEER, target().socket, which], { timeout: 60_000 });
    return JSON.parse(stdout) as Outcome;
  }

  if (!kind.takes.includes('body')) {
    it('are not named by who does not take them', async () => {
      const { server } = await target().connect({ features: ['body', 'descriptor'] });
      assert.ok(Array.isArray(server.features));
      assert.deepEqual(
        server.features.filter((feature) => feature === 'body' || feature === 'descriptor'),
        [],
      );
    });
    return;
  }

  let idle: number;
  before(() => {
    idle = target().descriptors().length;
  });
  // What was sent is closed, whether it was taken or refused.
  afterEach(() => until('no descriptor to be left', () => target().descriptors().length <= idle));

  it('come as files in memory, one after the other', async () => {
    assert.equal((await act('one')).result, SIZE);
    assert.equal((await act('second')).result, 70_000);
  });

  it('go as files in memory, sealed, or as they would without', async () => {
    for (const which of ['result', 'echo']) {
      const { result, as, right, sealed } = await act(which);
      assert.deepEqual([result, right], [SIZE, true], which);
      if (as === 'body') assert.equal(sealed, true, which);
    }
  });

  it('pass descriptors on, where both sides have agreed on that', async () => {
    const { body, result } = await act('pass-on');
    if (TAKES_DESCRIPTORS.includes(kind.name)) assert.equal(result, 'through');
    else assert.equal(body, false);
  });

  const WRONG: Readonly<Record<string, string>> = {
    unsealed: 'that are not sealed',
    'half-sealed': 'that are sealed in part',
    'no-memory': 'that are no file in memory',
    'too-long': 'that are shorter than they say',
    endless: 'of a length beyond all bounds',
    none: 'without a descriptor',
    beyond: 'of a descriptor that did not come',
    twice: 'of which two are the same descriptor',
    descriptor: 'that are descriptors, where only bodies were agreed on,',
    unread: 'that nobody has mentioned, more than 64,',
  };
  for (const [which, what] of Object.entries(WRONG))
    it(`${what} end the connection`, async () => {
      const { closed } = await act(which);
      // Of too many descriptors a server may be rid at once, without a word.
      assert.ok(closed === 'bad-frame' || (which === 'unread' && closed === null), `${closed}`);
      assert.equal(await (await target().connect()).result('echo', 'well'), 'well');
    });
});
