import { formatDuration } from '../base/duration.ts';
import { Failure } from '../base/failure.ts';
import type { Sandbox } from './sandbox.ts';

/** The step of init's that fails when the startup probe has failed as often as it may; native/init/supervise.c. */
const STARTUP_PROBE = 'startup-probe';

/** The most exact reason that is known for a start that failed. */
export function startFailure(sandbox: Sandbox, failure: Failure): Failure {
  const { unit, startTimeoutMs } = sandbox.record;
  if (sandbox.tookTooLong) {
    const startup = sandbox.probes.get('startup');
    const why = startup === undefined || startup.passes ? '' : `; startup probe: ${startup.text}`;
    return new Failure('BH303', `'${unit}' was not ready within ${formatDuration(startTimeoutMs)}${why}`);
  }
  if (sandbox.setupFailure === undefined)
    return failure.code === 'BH506' ? new Failure('BH301', failure.message) : failure;
  const { step, error } = sandbox.setupFailure;
  if (step === STARTUP_PROBE) return new Failure('BH315', `'${unit}': ${error}`);
  const code = step === 'exec' ? 'BH305' : 'BH302';
  return new Failure(code, `'${unit}': step '${step}': ${error}`);
}
