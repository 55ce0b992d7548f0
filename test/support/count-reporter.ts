import { appendFileSync } from 'node:fs';
import Mocha from 'mocha';

const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

/**
 * Mocha's ordinary report, and one line "PASSED FAILED SKIPPED" appended to the file named by BULKHEAD_TEST_COUNTS:
 * the sum over all suites is made of these.
 */
export default class CountReporter extends Mocha.reporters.Spec {
  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    runner.on(EVENT_TEST_PASS, () => {
      passed += 1;
    });
    // A failed hook counts as a failure, too.
    runner.on(EVENT_TEST_FAIL, () => {
      failed += 1;
    });
    runner.on(EVENT_TEST_PENDING, () => {
      skipped += 1;
    });
    runner.once(EVENT_RUN_END, () => {
      const file = process.env.BULKHEAD_TEST_COUNTS;
      if (file !== undefined) appendFileSync(file, `${passed} ${failed} ${skipped}\n`);
    });
  }
}
