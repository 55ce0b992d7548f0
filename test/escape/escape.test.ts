/** A hostile plugin tries everything that it can think of. `docs/security.md` says how to add to it. */
import assert from 'node:assert/strict';
import { ATTEMPTS } from './attempts/all.ts';
import { KINDS } from './kind.ts';
import { type Scene, setScene } from './scene.ts';
import { Trial } from './trial.ts';

for (const kind of KINDS) {
  describe(`from a sandbox of kind ${kind}, a hostile plugin tries`, function () {
    this.timeout(30_000);
    let scene: Scene;
    let trial: Trial;

    before(async () => {
      scene = await setScene(kind);
      trial = Trial.open(scene);
    });

    after(async () => {
      trial?.close();
      await scene?.end();
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
  });
}
