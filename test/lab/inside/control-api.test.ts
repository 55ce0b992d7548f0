import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MANAGER_INTERFACE, MANAGER_NAME, MANAGER_PATH } from '../../../src/control/wire-names.ts';
import { installExample, uninstall } from '../../support/system.ts';

const NOBODY = { uid: 65534, gid: 65534 };

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

function run(file: string, args: readonly string[], who: { uid?: number; gid?: number } = {}): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(file, [...args], { encoding: 'utf8', timeout: 120_000, cwd: '/', ...who }, (error, out, err) => {
      const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 255;
      resolve({ status, out, err });
    });
  });
}

async function asNobody<T>(...args: readonly string[]): Promise<T> {
  const program = fileURLToPath(new URL('./control-nobody.js', import.meta.url));
  const { status, out, err } = await run(process.execPath, [program, ...args], NOBODY);
  assert.equal(status, 0, err);
  return JSON.parse(out) as T;
}

function ctl(args: readonly string[], who: { uid?: number; gid?: number } = {}): Promise<Ran> {
  return run('bulkheadctl', args, who);
}

describe('control API', function () {
  this.timeout(180_000);

  before(() => installExample('hello', 'c', ['template: native', 'version: v1', 'listen: [{ tcp: 127.0.0.1:9160 }]']));
  after(() => uninstall('hello'));

  it('can be introspected, with documentation', async () => {
    const { out, status } = await run('busctl', ['introspect', '--xml-interface', MANAGER_NAME, MANAGER_PATH], NOBODY);
    assert.equal(status, 0);
    for (const method of [
      'ListPlugins',
      'GetStatus',
      'GetPlan',
      'GetEvents',
      'StartPlugin',
      'StopPlugin',
      'RestartPlugin',
    ]) {
      assert.ok(out.includes(`<method name="${method}">`), method);
    }
    assert.ok(out.includes(`<interface name="${MANAGER_INTERFACE}">`));
    assert.ok(out.includes('<signal name="EventAdded">'));
    assert.ok(out.includes('DocString'));
  });

  it('refuses every control method to nobody, and says why', async () => {
    const results = await asNobody<Record<string, { name: string; text: string }>>('refusals', 'hello');
    for (const method of ['StartPlugin', 'StopPlugin', 'RestartPlugin']) {
      assert.equal(results[method]?.name, 'org.bulkhead.Error.BH403', method);
      assert.match(results[method]?.text ?? '', /'org\.bulkhead\.manage' for user 65534: /);
    }
    assert.equal(results.badName?.name, 'org.bulkhead.Error.BH109');
    assert.match(results.badName?.text ?? '', /it contains "\/"/);
    for (const kind of ['wrongType', 'tooMany', 'none']) {
      assert.equal(results[kind]?.name, 'org.freedesktop.DBus.Error.InvalidArgs', kind);
      assert.match(results[kind]?.text ?? '', /StartPlugin takes \(s name\)/);
    }
    assert.equal(results.unknownMethod?.name, 'org.freedesktop.DBus.Error.UnknownMethod');
    assert.equal(results.unknownObject?.name, 'org.freedesktop.DBus.Error.UnknownObject');
    assert.equal(results.setVersion?.name, 'org.freedesktop.DBus.Error.InvalidArgs');
    assert.equal(results.takeName?.name, 'org.freedesktop.DBus.Error.AccessDenied');
  });

  it('lets nobody read, as shipped', async () => {
    const { status, out } = await ctl(['list', '--json'], NOBODY);
    assert.equal(status, 0);
    assert.ok((JSON.parse(out) as { name: string }[]).some(({ name }) => name === 'hello'));
  });

  it('gives bulkheadctl the exit status and the reason', async () => {
    const refused = await ctl(['start', 'hello'], NOBODY);
    assert.equal(refused.status, 5);
    assert.match(refused.err, /^bulkheadctl: BH403 not authorised: 'org\.bulkhead\.manage' for user 65534: .* — /);
    const missing = await ctl(['status', 'helo']);
    assert.equal(missing.status, 4);
    assert.match(missing.err, /did you mean 'hello'\?/);
  });

  it('starts, shows and stops a plugin for root', async () => {
    const started = await ctl(['start', 'hello']);
    assert.equal(started.status, 0, started.err);
    assert.match(started.out, /^● hello: running, /);
    const shown = await ctl(['status', 'hello', '--json']);
    assert.equal(shown.status, 0);
    assert.equal(JSON.parse(shown.out).name, 'hello');
    const events = await ctl(['events', 'hello', '--json']);
    assert.ok(
      events.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).plugin)
        .every((name) => name === 'hello'),
    );
    const stopped = await ctl(['stop', 'hello']);
    assert.equal(stopped.status, 0, stopped.err);
    assert.equal((await ctl(['status', 'hello'])).status, 3);
  });

  it('tells new events to who follows', async () => {
    const child = spawn('bulkheadctl', ['events', '-f', '--json'], { cwd: '/' });
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    const numbers = () =>
      out
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line).number as number);
    await until('what happened before is shown', () => numbers().length > 0);
    const before = numbers().length;
    assert.equal((await ctl(['restart', 'hello'])).status, 0);
    await until('what happens is shown', () => numbers().length > before);
    child.kill('SIGINT');
    assert.equal(await ended, 0);
    assert.deepEqual(
      numbers(),
      [...new Set(numbers())].sort((one, other) => one - other),
    );
  });
});

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = Date.now() + 45_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not within 45 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
