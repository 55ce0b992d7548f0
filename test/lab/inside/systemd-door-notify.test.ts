import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../../src/kernel/clock.ts';
import { pipe, sendDatagram } from '../../../src/kernel/native.ts';
import { Notifier } from '../../../src/systemd/notify.ts';
import { command, run, Scene, until } from './systemd-door-lab.ts';

describe('systemd door: notifications, descriptor store, journal', function () {
  this.timeout(180_000);
  let scene: Scene;

  beforeEach(() => {
    scene = new Scene();
  });

  afterEach(async () => {
    await scene.release();
  });

  const program = fileURLToPath(new URL('./systemd-door-fd-program.js', import.meta.url));

  it('keeps descriptors over a restart, and passes the barrier', async () => {
    const manager = scene.manager();
    manager.start();
    const unit = scene.unit('plugin-door-fds');
    const properties = [
      ['Type', 's', 'notify'],
      ['FileDescriptorStoreMax', 'u', 16],
      command(process.execPath, program),
    ] as const;
    assert.equal(await manager.startTransientUnit(unit, properties), 'done');
    assert.equal(await manager.unitProperty(unit, 'Service', 'StatusText'), 'got nothing env clean');
    assert.equal(await manager.unitProperty(unit, 'Service', 'NFileDescriptorStore'), 3);
    assert.equal(await manager.restartUnit(unit), 'done');
    assert.equal(await manager.unitProperty(unit, 'Service', 'StatusText'), 'got listener one=2 report=1 env clean');
    assert.equal(await manager.unitProperty(unit, 'Service', 'NFileDescriptorStore'), 3);
  });

  it('writes fields to the journal, line breaks and bytes included', async () => {
    let entry: Record<string, unknown> = {};
    await until('the entry is there', async () => {
      const lines = await run('journalctl', '-q', '-o', 'json', '-n', '1', 'SYSLOG_IDENTIFIER=door-test');
      if (lines.trim() === '') return false;
      entry = JSON.parse(lines) as Record<string, unknown>;
      return true;
    });
    assert.equal(entry.MESSAGE, 'first line\nsecond line');
    assert.equal(entry.PRIORITY, '4');
    assert.equal(entry.MESSAGE_ID, '0123456789abcdef0123456789abcdef');
    assert.equal(entry.BULKHEAD_PLUGIN, 'hello');
    assert.deepEqual(entry.BULKHEAD_BYTES, [1, 10, 0, 255]);
  });

  it('gives up the barrier when nobody handles it', async () => {
    const path = '/run/systemd-door-silent.sock';
    const bind = `import socket, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind('${path}'); print('bound', flush=True); time.sleep(60)`;
    const listener = spawn('/usr/bin/python3', ['-c', bind], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(listener.stdout, 'data');
      const notifier = new Notifier({ socket: path, clock: systemClock, sendDatagram, makePipe: pipe });
      await assert.rejects(notifier.barrier(100), { code: 'BH502' });
    } finally {
      listener.kill('SIGKILL');
      rmSync(path, { force: true });
    }
    const missing = new Notifier({ socket: '/run/none.sock', clock: systemClock, sendDatagram, makePipe: pipe });
    await assert.rejects(missing.barrier(100), /ENOENT/);
    const silent = new Notifier({ socket: undefined, clock: systemClock, sendDatagram, makePipe: pipe });
    await silent.barrier(100);
    silent.ready('nobody listens');
  });
});
