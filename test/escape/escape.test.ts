/** A hostile plugin tries everything that it can think of. `docs/security.md` says how to add to it. */
import assert from 'node:assert/strict';
import { readySandboxes, run } from '../support/system.ts';
import { ATTEMPTS } from './attempts/all.ts';
import { KINDS } from './kind.ts';
import { hostState } from './leftovers.ts';
import { NEIGHBOUR, type Scene, setScene } from './scene.ts';
import { Trial } from './trial.ts';

for (const kind of KINDS) {
  describe(`from a sandbox of kind ${kind}, a hostile plugin tries`, function () {
    this.timeout(120_000);
    let scene: Scene;
    let trial: Trial;
    let asItWas: unknown;

    before(async () => {
      asItWas = await hostState();
      scene = await setScene(kind);
      trial = Trial.open(scene);
    });

    after(async () => {
      trial?.close();
      await scene?.end();
      assert.deepEqual(await hostState(), asItWas);
    });

    for (const [subject, attempts] of Object.entries(ATTEMPTS)) {
      describe(subject, () => {
        for (const attempt of attempts) {
          it(attempt.name, async () => {
            assert.equal(await trial.judge(attempt), undefined);
          });
        }
      });
    }

    it('to make a difference', async () => {
      for (const plugin of [scene.plugin, NEIGHBOUR]) {
        const audit = await run('bulkheadctl', 'audit', plugin);
        assert.equal(audit.status, 0, audit.stdout);
      }
      const [neighbour] = await readySandboxes(NEIGHBOUR);
      assert.equal(neighbour?.payloadPid, scene.neighbour.payloadPid);
    });
  });
}
