import { DEATHS } from './deaths.ts';
import { DEPENDENT, HANGS, LEAKING } from './hangs.ts';
import { matrix } from './matrix.ts';

describe('each failure is seen as what it is, and recovered', function () {
  this.timeout(300_000);
  matrix([...DEATHS, ...HANGS, ...LEAKING, ...DEPENDENT], {
    isolations: ['nspawn', 'scope'],
    patience: 1,
  });
});
