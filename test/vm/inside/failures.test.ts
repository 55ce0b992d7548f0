import { matrix } from '../../failures/matrix.ts';
import { OUT_OF_LIMITS } from '../../failures/out-of-limits.ts';

/** How many times as long as natively everything may take, where the machine is emulated. */
const PATIENCE = 8;

describe('each failure at a limit that a controller holds is seen as what it is, and recovered', function () {
  this.timeout(600_000);
  matrix(OUT_OF_LIMITS, { isolations: ['scope'], patience: PATIENCE });
});
