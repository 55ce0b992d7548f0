import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import {
  killSupervisor,
  must,
  run,
  systemctl,
  UPGRADED_AT_ONCE,
  until,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';
import { ask, auditOf, declareProbe, KINDS, refused, remove, start } from './view-lab.ts';

const COPIES = '/run/bulkhead/credentials';
const STORE = '/etc/credstore';
const SECRET = 'Kalmuck-7391-Quitte';

function store(file: string, content: string): string {
  mkdirSync(STORE, { recursive: true, mode: 0o700 });
  writeFileSync(`${STORE}/${file}`, content, { mode: 0o600 });
  return `${STORE}/${file}`;
}

for (const kind of KINDS) {
  const name = `credentials-${kind}`;
  const declaration = (...credentials: readonly string[]): string[] => [
    `isolation: ${kind}`,
    UPGRADED_AT_ONCE,
    `credentials: { ${credentials.join(', ')} }`,
  ];

  describe(`credentials of a ${kind}`, function () {
    this.timeout(120_000);
    afterEach(async () => {
      await remove(name);
      rmSync(STORE, { recursive: true, force: true });
    });

    it('are files that the payload can read and not change, and that nobody else can read', async () => {
      declareProbe(name, declaration(`api-key: { path: ${store('key', SECRET)} }`));
      await start(name);
      const directory = await ask(name, 'os.environ["CREDENTIALS_DIRECTORY"]');
      assert.equal(directory, '/run/credentials');
      assert.deepEqual(await ask(name, `os.listdir("${directory}")`), ['api-key']);
      assert.equal(await ask(name, `open("${directory}/api-key").read()`), SECRET);
      assert.deepEqual(await ask(name, `open("${directory}/api-key", "w")`), { error: 'EROFS' });
      assert.deepEqual(await ask(name, `open("${directory}/other", "w")`), { error: 'EROFS' });
      assert.equal(statSync(COPIES).mode & 0o7777, 0o700);
      const [sandbox] = await untilWhole(name, 1);
      const copy = `${COPIES}/${sandbox?.unit}/api-key`;
      assert.equal(readFileSync(copy, 'utf8'), SECRET);
      assert.equal((await run('setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', 'cat', copy)).status, 1);
      assert.match(await must('findmnt', '-no', 'FSTYPE', '-T', copy), /^tmpfs/);
      assert.deepEqual(await auditOf(name), []);
    });

    it('are in no environment, command line, log or state file', async () => {
      const [, before = ''] = /^-- cursor: (.+)$/m.exec(await must('journalctl', '--lines=1', '--show-cursor')) ?? [];
      declareProbe(name, declaration(`api-key: { path: ${store('key', SECRET)} }`));
      await start(name);
      const [sandbox] = await untilWhole(name, 1);
      await must('bulkheadctl', 'plan', name);
      await must('journalctl', '--sync');
      const texts = [
        ...['environ', 'cmdline'].map((file) => readFileSync(`/proc/${sandbox?.payloadPid}/${file}`, 'utf8')),
        ...['environ', 'cmdline'].map((file) => readFileSync(`/proc/${sandbox?.initPid}/${file}`, 'utf8')),
        ...filesBelow('/run/bulkhead')
          .filter((file) => !file.startsWith(COPIES))
          .map(textOf),
        ...filesBelow('/run/systemd/transient').map(textOf),
        await must('journalctl', '--output=export', `--after-cursor=${before}`),
        await must('systemctl', 'show', sandbox?.unit ?? ''),
        (await run('bulkheadctl', 'status', name, '--json')).stdout,
        (await run('bulkheadctl', 'plan', name, '--json')).stdout,
      ];
      assert.ok(texts.length > 8);
      assert.ok(
        texts.some((text) => text.includes(`UNIT=${sandbox?.unit}`)),
        'the journal has nothing about the sandbox',
      );
      assert.deepEqual(
        texts.filter((text) => text.includes(SECRET)),
        [],
      );
    });

    it('can be encrypted for this host', async () => {
      await must('systemd-creds', 'setup');
      const clear = store('clear', SECRET);
      await must('systemd-creds', 'encrypt', '--with-key=host', '--name=db', clear, `${STORE}/db`);
      assert.ok(!readFileSync(`${STORE}/db`, 'utf8').includes(SECRET));
      declareProbe(name, declaration(`db: { path: ${STORE}/db, encrypted: true }`));
      await start(name);
      assert.equal(await ask(name, 'open("/run/credentials/db").read()'), SECRET);
      await remove(name);
      declareProbe(name, declaration(`other: { path: ${STORE}/db, encrypted: true }`));
      assert.match(await refused(name), /^BH309 .*'other', file '\/etc\/credstore\/db': .*'db'.*'other'/);
    });

    it('that cannot be had are named with the reason, and nothing runs', async () => {
      await must('mkfifo', '-m', '600', `${STORE}-fifo`);
      const cases: readonly (readonly [path: string, reason: string])[] = [
        [`${STORE}/none`, 'ENOENT: no such file or directory'],
        ['/etc', 'it is not a regular file'],
        [`${STORE}-fifo`, 'it is not a regular file'],
        [store('large', 'x'.repeat((1 << 20) + 1)), 'with it the credentials have more than 1048576 bytes'],
      ];
      try {
        for (const [path, reason] of cases) {
          declareProbe(name, declaration(`key: { path: ${path} }`));
          const told = await refused(name);
          assert.match(told, /^BH309 /);
          assert.ok(told.endsWith(`'key', file '${path}': ${reason}`), told);
          await until('nothing is left of it', () => !existsSync(COPIES) || readdirSync(COPIES).length === 0);
          await run('systemctl', 'reset-failed', `plugin@${name}`);
        }
      } finally {
        rmSync(`${STORE}-fifo`);
      }
    });

    it('that have changed come with a reload, and with the next sandbox', async () => {
      const file = store('key', SECRET);
      declareProbe(name, declaration(`key: { path: ${file} }`));
      await start(name);
      const [first] = await untilWhole(name, 1);
      writeFileSync(file, 'second');
      assert.equal(await ask(name, 'open("/run/credentials/key").read()'), SECRET);
      await systemctl('reload', `plugin@${name}`);
      await untilReplaced(name, 1, first?.unit ?? '');
      assert.equal(await ask(name, 'open("/run/credentials/key").read()'), 'second');
      // Nothing to replace when nothing has changed.
      const [second] = await untilWhole(name, 1);
      await systemctl('reload', `plugin@${name}`);
      assert.equal((await untilWhole(name, 1))[0]?.unit, second?.unit);
    });

    it('go with their sandbox, also when the supervisor was killed, and orphans go at the next start', async () => {
      declareProbe(name, declaration(`key: { path: ${store('key', SECRET)} }`));
      await start(name);
      const [sandbox] = await untilWhole(name, 1);
      const orphan = `${COPIES}/plugin-gone-a-g1.service`;
      mkdirSync(orphan);
      writeFileSync(`${orphan}/key`, SECRET);
      chmodSync(`${orphan}/key`, 0o444);
      await killSupervisor();
      await until('the orphan is removed', () => !existsSync(orphan));
      assert.equal(await ask(name, 'open("/run/credentials/key").read()'), SECRET);
      await systemctl('stop', `plugin@${name}`);
      await until('the copies are removed', () => !existsSync(`${COPIES}/${sandbox?.unit}`));
    });
  });
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
