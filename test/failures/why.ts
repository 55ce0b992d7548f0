import assert from 'node:assert/strict';
import { must } from '../support/system.ts';
import type { Trial } from './trial.ts';

/** A screen, and room for the prompt. */
const MOST_LINES = 25;

/** What `bulkheadctl why` says of it at night: cause, evidence, action and advice, on one screen. */
export async function judgeWhy({ plugin, row: { expect } }: Trial): Promise<void> {
  const text = await must('bulkheadctl', 'why', plugin);
  assert.ok(text.trimEnd().split('\n').length < MOST_LINES, text);
  assert.match(text, expect.evidence, text);
  assert.match(text, expect.action, text);
  for (const part of ['It means:', 'Evidence:', 'Done:', 'What to do:']) assert.ok(text.includes(part), text);
}
