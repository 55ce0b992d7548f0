/** Whether a call that failed is made once more, elsewhere. Pure. */
export interface FailedAttempt {
  /** Whether the method may have run: `no` when it certainly did not. */
  readonly begun: 'no' | 'unknown';
  /** The failure is of whoever was asked, not of the call: another one may do better. */
  readonly elsewhere: boolean;
  /** Attempts made so far, this one included. */
  readonly attempts: number;
}

export interface RetryRules {
  /** The call may be made twice without harm. */
  readonly idempotent: boolean;
  /** Attempts beside the first. */
  readonly retries: number;
}

export function mayRepeat(failed: FailedAttempt, rules: RetryRules): boolean {
  if (!failed.elsewhere || failed.attempts > rules.retries) return false;
  return failed.begun === 'no' || rules.idempotent;
}

/** Tokens that are there at first, and the most that can be: as much as a sandbox of a full connection leaves behind. */
const MOST_TOKENS = 256;
/** What a call that went well adds. */
const TOKENS_A_CALL = 0.2;

/**
 * Bounds repeated attempts, retries and hedges alike, to a share of the calls: when everything fails, calling everything
 * three times makes it worse.
 */
export class RetryBudget {
  #tokens = MOST_TOKENS;

  succeeded(): void {
    if (this.#tokens < MOST_TOKENS) this.#tokens = Math.min(MOST_TOKENS, this.#tokens + TOKENS_A_CALL);
  }

  /** Takes what one attempt costs. @returns false when nothing is left. */
  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
