import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { NO_LIVE_RECORD } from '../../../src/base/live-record.ts';
import {
  type DeclarationRoots,
  declaredPlugins,
  loadDeclaration,
  loadDeclarationFile,
} from '../../../src/kernel/declaration-files.ts';
import { kindOf, parseSystemdVersion } from '../../../src/kernel/host-facts.ts';
import { writeLiveRecord } from '../../../src/kernel/live-records.ts';
import { unitFilesOf } from '../../../src/kernel/unit-files.ts';

describe('declaration files', () => {
  let top: string;
  let roots: DeclarationRoots;

  beforeEach(() => {
    top = mkdtempSync(join(tmpdir(), 'declarations-'));
    roots = {
      plugins: [join(top, 'etc'), join(top, 'run'), join(top, 'usr')],
      templates: [join(top, 'templates')],
      units: [join(top, 'units-etc'), join(top, 'units-usr')],
      versions: join(top, 'opt'),
      live: join(top, 'live'),
    };
  });

  afterEach(() => rmSync(top, { recursive: true }));

  function write(path: string, text: string): string {
    const full = join(top, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    return full;
  }

  function codes(name: string): string[] {
    return loadDeclaration(name, roots).problems.map(({ code }) => code);
  }

  it('reads the strongest file, all drop-ins, and the unit after them', () => {
    write('usr/hello.yaml', 'exec: [/bin/weak]\n');
    const main = write('etc/hello.yaml', 'exec: [/bin/strong]\npool: { size: 2 }\n');
    const dropIn = write('run/hello.yaml.d/10-size.yaml', 'pool: { size: 3 }\n');
    const unit = write('units-etc/plugin@hello.service.d/override.conf', '[X-Plugin]\npool.size=4\n');
    write('units-usr/plugin@.service', '[Service]\nExecStart=/x\n');
    const { declaration, problems, files } = loadDeclaration('hello', roots);
    assert.deepEqual(problems, []);
    assert.deepEqual(declaration?.exec, ['/bin/strong']);
    assert.equal(declaration?.pool.size, 4);
    assert.deepEqual(files, [main, dropIn, unit]);
  });

  it('finds templates', () => {
    write('templates/mine.yaml', 'exec: [/bin/from-template]\n');
    write('etc/hello.yaml', 'template: mine\n');
    assert.deepEqual(loadDeclaration('hello', roots).declaration?.exec, ['/bin/from-template']);
  });

  it('sees every change at once, of the file and of its template', () => {
    write('templates/mine.yaml', 'exec: [/bin/one]\n');
    write('etc/hello.yaml', 'template: mine\n');
    const exec = () => loadDeclaration('hello', roots).declaration?.exec?.[0];
    assert.equal(exec(), '/bin/one');
    assert.equal(loadDeclaration('hello', roots).declaration, loadDeclaration('hello', roots).declaration);
    write('templates/mine.yaml', 'exec: [/bin/two]\n');
    assert.equal(exec(), '/bin/two');
    write('etc/hello.yaml', 'template: mine\nexec: [/bin/six]\n');
    assert.equal(exec(), '/bin/six');
    rmSync(join(top, 'templates/mine.yaml'));
    assert.deepEqual(codes('hello'), ['BH106']);
    write('templates/mine.yaml', 'exec: [/bin/two]\n');
    assert.equal(exec(), '/bin/six');
  });

  describe('and versions', () => {
    const committed = { version: 'v2', previous: 'v1', declared: 'v1', at: Date.UTC(2026, 10, 26), by: 'uid 0' };

    beforeEach(() => {
      write('etc/hello.yaml', 'version: v1\nexec: [./main]\n');
      for (const version of ['v1', 'v2', 'v3']) write(`opt/hello/${version}/main`, '');
    });

    function load(asked?: string) {
      return loadDeclaration('hello', roots, asked === undefined ? undefined : { version: asked, what: 'asked for' });
    }

    it('are those of the upgrade, until the declaration names another one', () => {
      assert.equal(load().declaration?.version, 'v1');
      writeLiveRecord('hello', { ...NO_LIVE_RECORD, committed }, roots.live);
      const { declaration, declared, origins } = load();
      assert.deepEqual([declaration?.version, declared], ['v2', 'v1']);
      assert.deepEqual(origins.get('version'), { kind: 'upgrade', what: 'upgrade of 2026-11-26 by uid 0' });
      write('etc/hello.yaml', 'version: v3\nexec: [./main]\n');
      assert.deepEqual([load().declaration?.version, load().origins.get('version')?.kind], ['v3', 'file']);
    });

    it('are those that are asked for, whatever is recorded', () => {
      writeLiveRecord('hello', { ...NO_LIVE_RECORD, committed }, roots.live);
      assert.deepEqual([load('v3').declaration?.version, load('v3').declared], ['v3', 'v1']);
      assert.deepEqual(load('v3').origins.get('version'), { kind: 'upgrade', what: 'asked for' });
      assert.deepEqual([load('v1').declaration?.version, load('v1').origins.get('version')?.kind], ['v1', 'file']);
      assert.equal(load().declaration?.version, 'v2');
    });

    it('say what is theirs to say, each for itself', () => {
      write('opt/hello/v1/plugin.yaml', 'environment: { OF: one }\n');
      write('opt/hello/v2/plugin.yaml', 'environment: { OF: two }\n');
      assert.deepEqual(load().declaration?.environment, { OF: 'one' });
      assert.deepEqual(load('v2').declaration?.environment, { OF: 'two' });
      assert.deepEqual(load('v3').declaration?.environment, {});
      write('opt/hello/v1/plugin.yaml', 'environment: { OF: three }\n');
      assert.deepEqual(load().declaration?.environment, { OF: 'three' });
      const file = write('opt/hello/v1/plugin.yaml', 'environment: { OF: three }\nnetwork: host\n');
      const [problem] = load().problems;
      assert.deepEqual([problem?.code, problem?.place], ['BH120', { file, line: 2, column: 1 }]);
      assert.deepEqual(load('v2').problems, []);
    });

    it('say nothing by a link, a pipe, or a text without bounds', () => {
      write('outside.yaml', 'environment: { A: b }\n');
      const path = join(top, 'opt/hello/v1/plugin.yaml');
      for (const target of [join(top, 'outside.yaml'), '../v2/main', 'main', 'plugin.yaml', '/nowhere']) {
        symlinkSync(target, path);
        const [problem, ...more] = load().problems;
        assert.deepEqual([problem?.code, problem?.place.file, more.length], ['BH113', path, 0], target);
        assert.match(problem?.message ?? '', /it is a link/);
        rmSync(path);
      }
      execFileSync('mkfifo', [path]);
      assert.deepEqual(codes('hello'), ['BH113']);
      rmSync(path);
      write('opt/hello/v1/plugin.yaml', '#'.repeat(1 << 20));
      assert.deepEqual(codes('hello'), ['BH112']);
    });

    it('that are images bring nothing', () => {
      write('etc/hello.yaml', 'version: image\nexec: [./main]\n');
      write('opt/hello/image', 'hsqs');
      assert.deepEqual(load().problems, []);
    });

    it('are not guessed when the record is damaged', () => {
      const path = write('live/hello.json', '{ "format": 1 }');
      const [problem, ...more] = load().problems;
      assert.deepEqual([problem?.code, problem?.place.file, more.length], ['BH210', path, 0]);
      // Whoever says which one is meant does not need it.
      assert.deepEqual(load('v2').problems, []);
    });

    it('are those that the file names when a file is checked', () => {
      writeLiveRecord('hello', { ...NO_LIVE_RECORD, committed }, roots.live);
      write('opt/hello/v1/plugin.yaml', 'limits: { files: 99 }\n');
      const codesOfFile = loadDeclarationFile('hello', join(top, 'etc/hello.yaml'), roots).problems.map(
        ({ code }) => code,
      );
      assert.deepEqual([codesOfFile, load().problems], [['BH120'], []]);
    });
  });

  it('lists what is declared in any form, and not what is masked', () => {
    write('etc/one.yaml', 'exec: [/bin/x]\n');
    write('usr/masked.yaml', 'exec: [/bin/x]\n');
    symlinkSync('/dev/null', join(top, 'etc/masked.yaml'));
    write('units-etc/plugin@unit.service.d/x.conf', '[X-Plugin]\nexec=/bin/x\n');
    write('units-etc/plugin@other.service.d/x.conf', '[Service]\nMemoryMax=1G\n');
    assert.deepEqual(declaredPlugins(roots), ['one', 'unit']);
    const [problem] = loadDeclaration('masked', roots).problems;
    assert.equal(problem?.code, 'BH108');
    assert.match(problem?.message ?? '', /masked/);
    assert.equal(problem?.place.file, join(top, 'etc/masked.yaml'));
  });

  it('says why a file cannot be read, without waiting for it', () => {
    execFileSync('mkfifo', [write('etc/x', '').replace(/x$/, 'fifo.yaml')]);
    assert.deepEqual(codes('fifo'), ['BH113']);
    mkdirSync(join(top, 'etc/directory.yaml'));
    assert.deepEqual(codes('directory'), ['BH113']);
    writeFileSync(join(top, 'etc/latin.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
    assert.match(loadDeclaration('latin', roots).problems[0]?.message ?? '', /not UTF-8/);
    write('etc/large.yaml', '#'.repeat(2 << 20));
    assert.deepEqual(codes('large'), ['BH112']);
    symlinkSync('/nowhere', join(top, 'etc/dangling.yaml'));
    assert.match(loadDeclaration('dangling', roots).problems[0]?.message ?? '', /no such file/);
  });

  it('refuses names that would lead elsewhere', () => {
    write('secret.yaml', 'exec: [/bin/x]\n');
    mkdirSync(join(top, 'etc'));
    assert.deepEqual(codes('../secret'), ['BH109']);
  });

  it('checks a single file under the name it is given', () => {
    const path = write('somewhere/demo.yaml', 'exec: [/bin/x]\nlisen: []\n');
    const { problems } = loadDeclarationFile('demo', path, roots);
    assert.deepEqual(
      problems.map(({ code, place }) => [code, place.line]),
      [['BH102', 2]],
    );
    assert.deepEqual(
      loadDeclarationFile('demo', join(top, 'nothing.yaml'), roots).problems.map(({ code }) => code),
      ['BH113'],
    );
  });

  it('orders drop-ins of a unit as systemd does', () => {
    write('units-usr/plugin@.service', 'x');
    write('units-usr/plugin@.service.d/20.conf', 'x');
    write('units-usr/plugin@a.service.d/10.conf', 'x');
    write('units-etc/plugin@.service.d/10.conf', 'x');
    write('units-etc/plugin@a.service.d/30.conf', '');
    assert.deepEqual(
      unitFilesOf('a', roots.units).map((path) => path.slice(top.length)),
      ['/units-usr/plugin@.service', '/units-usr/plugin@a.service.d/10.conf', '/units-usr/plugin@.service.d/20.conf'],
    );
  });

  it('looks at programs as the payload would', async () => {
    const program = write('program', '#!/bin/sh\n');
    chmodSync(program, 0o750);
    assert.equal(await kindOf(program), 'file');
    chmodSync(program, 0o755);
    assert.equal(await kindOf(program), 'executable');
    assert.equal(await kindOf(top), 'directory');
    assert.equal(await kindOf(join(top, 'nothing')), 'missing');
  });
});

describe('version of systemd', () => {
  it('is found in what systemctl and the manager say', () => {
    for (const [text, version] of [
      ['systemd 257 (257.13-1~deb13u1)\n+PAM', 257],
      ['252.38-1~deb12u1', 252],
      ['v256-rc3', 256],
    ] as const) {
      assert.equal(parseSystemdVersion(text), version);
    }
    assert.throws(() => parseSystemdVersion('launchd 1'), /BH203|not understood/);
  });
});
