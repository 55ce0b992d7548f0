/** Each wall in turn is broken on purpose: just the attempts that it stops come to something else. */
import assert from 'node:assert/strict';
import { type Attempt, expectationOf } from './attempt.ts';
import { ATTEMPTS } from './attempts/all.ts';
import { type Break, init } from './breakage.ts';
import { BROKEN_WALLS } from './broken-walls.ts';
import { KINDS } from './kind.ts';
import { type Scene, setScene } from './scene.ts';
import { Trial } from './trial.ts';

const ALL = Object.values(ATTEMPTS).flat();
const TWO_CALLS = /^two calls of the filter$/;

/** What each attempt came to that came to something else than expected, by name. */
async function failures(scene: Scene, breakIt: Break, attempts: readonly Attempt[]): Promise<Map<string, string>> {
  const { repair, started } = await breakIt(scene);
  const trial = Trial.open(scene);
  const failed = new Map<string, string>();
  try {
    // What is broken in such a way that nothing starts proves nothing.
    const own = await scene.again();
    await started?.(own);
    for (const attempt of attempts) {
      // What one may do to the process that does it, without a wall, is not for the next.
      trial.startOver();
      const wrong = await trial.judge(attempt);
      if (wrong !== undefined) failed.set(attempt.name, wrong);
    }
  } finally {
    trial.close();
    await repair();
  }
  if (process.env.SHOW) for (const [name, wrong] of failed) console.log(`      ${name}: ${wrong}`);
  return failed;
}

for (const kind of KINDS) {
  describe(`for a sandbox of kind ${kind}, a wall that is broken is found out:`, function () {
    this.timeout(120_000);
    let scene: Scene;
    const ending = ALL.filter((attempt) => expectationOf(attempt, kind).kind === 'killed');
    const others = ALL.filter((attempt) => !ending.includes(attempt));

    before(async () => {
      scene = await setScene(kind);
    });

    after(() => scene?.end());

    for (const { wall, break: breakIt, lets, may = [] } of BROKEN_WALLS[kind]) {
      it(wall, async () => {
        // Whoever ends a sandbox is up to the filter alone, and each takes another sandbox.
        const tried = TWO_CALLS.test(wall) ? ending.filter(({ name }) => lets.some((one) => one.test(name))) : others;
        const expected = tried.map(({ name }) => name).filter((name) => lets.some((one) => one.test(name)));
        const failed = await failures(scene, breakIt, tried);
        const sure = [...failed.keys()].filter((name) => expected.includes(name) || !may.some((one) => one.test(name)));
        assert.deepEqual(sure.sort(), expected.sort());
        assert.notDeepEqual(expected, []);
      });
    }

    it('the filter', async () => {
      const failed = await failures(scene, init('filter'), ALL);
      assert.deepEqual(
        ending.filter(({ name }) => !failed.has(name)),
        [],
      );
      // Behind the filter stand the others.
      const granted = ALL.filter(
        ({ name, filterOnly }) => filterOnly !== true && /^it gave ok/.test(failed.get(name) ?? ''),
      );
      assert.deepEqual(
        granted.map(({ name }) => `${name}: ${failed.get(name)}`),
        [],
      );
    });
  });
}
