import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { makePackage, runHere } from './package-machine.ts';

describe('what is packaged, looked at without installing it', function () {
  this.timeout(300_000);

  before(async () => {
    const { status, stderr } = await runHere('test/host/packages', ['lintian', 'mandoc', 'man-db']);
    assert.equal(status, 0, stderr);
  });

  it('lintian has nothing to say that is not answered in the overrides', async () => {
    const file = await makePackage('bulkhead', undefined, 'release');
    const { status, stdout } = await runHere('lintian', [
      '--allow-root',
      '--fail-on',
      'error,warning',
      '--tag-display-limit',
      '0',
      file,
    ]);
    assert.deepEqual({ status, stdout }, { status: 0, stdout: '' });
  });

  it('the same sources give the same package, byte for byte', async () => {
    const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
    const first = digest(await makePackage('bulkhead', undefined, 'release'));
    assert.equal(digest(await makePackage('bulkhead', undefined, 'release')), first);
  });

  it('every man page is clean, for both formatters', async () => {
    await makePackage('bulkhead');
    const pages = readdirSync('build/man').map((page) => `build/man/${page}`);
    // One that only includes another has nothing of its own, and the other is not at its place before installation.
    const whole = pages.filter((page) => !readFileSync(page, 'utf8').startsWith('.so '));
    assert.ok(whole.length >= 5);
    assert.equal((await runHere('mandoc', ['-T', 'lint', '-W', 'warning', ...whole])).stdout, '');
    for (const page of whole) assert.equal((await runHere('man', ['--warnings', '--local-file', page])).stderr, '');
  });

  it('every key of a declaration, every verb and every error has its place in a man page', async () => {
    await makePackage('bulkhead');
    const text = (page: string) => readFileSync(`build/man/${page}`, 'utf8').replaceAll('\\-', '-');
    const keys = text('bulkhead-plugin.5');
    for (const key of ['template', 'listen[].tcp', 'limits.memory-high', 'recovery.budget.within', 'environment.*']) {
      assert.ok(keys.includes(`\n\\fB${key}\\fR\n`), key);
    }
    const verbs = text('bulkheadctl.1');
    for (const verb of ['list', 'status', 'plan', 'doctor']) assert.match(verbs, new RegExp(`\\\\fB${verb}\\\\fR`));
    assert.match(text('bulkhead-errors.7'), /\\fBBH304\\fR\nThe plugin keeps dying\./);
  });
});
