import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { Slots } from '../../../src/sandbox/slots.ts';
import { PATHS } from '../../support/plan-text.ts';

/** A tunnel is on another file system than versions are, as on a host; what is mounted is a link here. */
class Host {
  readonly run = mkdtempSync('/dev/shm/bulkhead-slots-');
  readonly versions = mkdtempSync('/var/tmp/bulkhead-slots-');
  readonly ran: string[] = [];
  /** Instead of doing what it is asked. */
  failure: Error | undefined;
  mountsAnother = false;

  constructor() {
    for (const version of ['v1', 'v2', 'v3']) mkdirSync(`${this.versions}/x/${version}`, { recursive: true });
  }

  slots(): Slots {
    return new Slots(
      { ...PATHS, run: this.run, versions: this.versions },
      async (_, [, command, tunnel, directory]) => {
        this.ran.push([command, directory?.split('/').at(-1)].filter((word) => word !== undefined).join(' '));
        await Promise.resolve();
        if (this.failure !== undefined) throw this.failure;
        if (command === 'clear') return rmSync(tunnel ?? '', { recursive: true });
        mkdirSync(tunnel ?? '', { recursive: true });
        rmSync(`${tunnel}/current`, { force: true });
        symlinkSync(this.mountsAnother ? `${this.versions}/x/v3` : (directory ?? ''), `${tunnel}/current`);
      },
    );
  }

  remove(): void {
    rmSync(this.run, { recursive: true });
    rmSync(this.versions, { recursive: true });
  }
}

const of = (version: string | undefined) => ({ plugin: 'x', slot: 'a', version }) as const;

describe('Slots', () => {
  let host: Host;
  let slots: Slots;

  beforeEach(() => {
    host = new Host();
    slots = host.slots();
    slots.planned('x', 'a', 'v1');
  });
  afterEach(() => host.remove());

  it('puts the planned version in its place before the first sandbox, and nothing before the others', async () => {
    await Promise.all([slots.prepare(of('v1')), slots.prepare(of('v1'))]);
    await slots.prepare(of('v1'));
    assert.deepEqual(host.ran, ['switch v1']);
  });

  it('leaves what was switched, whatever the plan of a sandbox says that is started meanwhile', async () => {
    await slots.prepare(of('v1'));
    await slots.switch(of('v2'));
    await slots.prepare(of('v1'));
    assert.deepEqual(host.ran, ['switch v1', 'switch v2']);
  });

  it('leaves what an earlier supervisor switched', async () => {
    await slots.switch(of('v2'));
    const next = host.slots();
    next.planned('x', 'a', 'v1');
    next.adopted('x', 'a');
    await next.prepare(of('v1'));
    assert.deepEqual(host.ran, ['switch v2']);
  });

  it('goes by a new plan, and by an old one that is planned again goes on as before', async () => {
    await slots.switch(of('v2'));
    slots.planned('x', 'a', 'v1');
    await slots.prepare(of('v1'));
    slots.planned('x', 'a', 'v3');
    await slots.prepare(of('v3'));
    assert.deepEqual(host.ran, ['switch v2', 'switch v3']);
  });

  it('mounts again what is not there any more, although it was switched', async () => {
    await slots.switch(of('v2'));
    rmSync(`${host.run}/slot/x/a/current`);
    await slots.prepare(of('v1'));
    assert.deepEqual(host.ran, ['switch v2', 'switch v1']);
  });

  it('gives every order to the program, which finds what is left to do', async () => {
    await slots.switch(of('v2'));
    await slots.switch(of('v2'));
    assert.deepEqual(host.ran, ['switch v2', 'switch v2']);
  });

  it('clears a tunnel with its plugin, unless that is planned anew', async () => {
    await slots.switch(of('v2'));
    const retired = slots.retire('x');
    slots.planned('x', 'a', 'v1');
    await retired;
    await slots.retire('x');
    await slots.retire('x');
    assert.deepEqual(host.ran, ['switch v2', 'clear']);
    assert.equal(existsSync(`${host.run}/slot/x/a`), false);
  });

  it('sweeps what was left of plugins without a plan', async () => {
    await slots.switch(of('v2'));
    await slots.sweep();
    assert.deepEqual(host.ran, ['switch v2']);
    await host.slots().sweep();
    assert.deepEqual(host.ran, ['switch v2', 'clear']);
  });

  it('tells what went wrong, and goes on with what comes next', async () => {
    host.failure = new Error('no room');
    await assert.rejects(slots.switch(of('v2')), { code: 'BH340', message: `'${host.versions}/x/v2': no room` });
    host.failure = undefined;
    host.mountsAnother = true;
    await assert.rejects(slots.switch(of('v2')), /another one is mounted/);
    host.mountsAnother = false;
    await slots.switch(of('v2'));
    await assert.rejects(slots.switch(of(undefined)), { code: 'BH340' });
  });
});
