import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import {
  declare,
  must,
  readySandboxes,
  run,
  systemctl,
  uninstall,
  untilReplaced,
  untilWhole,
} from '../../support/system.ts';

/** One of the examples call-NAME, as it is installed, whose plugins keep notes; all languages are held to the same. */
export class NotesStage {
  readonly name: string;
  readonly example: string;

  /** @param example `call-c`, say */
  constructor(example: string, isolation: string) {
    this.name = `${example}-${isolation}`;
    this.example = `/usr/share/doc/bulkhead/examples/${example}`;
  }

  /** @param install puts the program into the version's directory */
  async start(install: (directory: string) => void): Promise<void> {
    const [example] = this.example.split('/').slice(-1);
    mkdirSync(`/opt/plugin/${this.name}/v1`, { recursive: true });
    install(`/opt/plugin/${this.name}/v1`);
    declare(this.name, readFileSync(`${this.example}/${example}.yaml`, 'utf8').trim().split('\n'));
    await systemctl('start', `plugin@${this.name}`);
    await untilWhole(this.name, 1);
  }

  async end(): Promise<void> {
    await uninstall(this.name);
    rmSync(`/var/lib/bulkhead/state/${this.name}`, { recursive: true, force: true });
  }

  async call(...words: readonly string[]): Promise<unknown> {
    return JSON.parse(await must('bulkheadctl', 'call', this.name, ...words)) as unknown;
  }

  /** Pid of the program, on the host. */
  async payload(): Promise<number> {
    const [sandbox] = await readySandboxes(this.name);
    assert.ok(typeof sandbox?.payloadPid === 'number', JSON.stringify(sandbox));
    return sandbox.payloadPid;
  }

  async answersInParts(): Promise<void> {
    assert.equal(await this.call('add', 'milk is out'), 0);
    assert.equal(await this.call('add', 'buy milk'), 1);
    const found = await must('bulkheadctl', 'call', this.name, 'find', 'milk', '--stream');
    assert.equal(found, '"milk is out"\n"buy milk"\n2\n');
    const { status, stderr } = await run('bulkheadctl', 'call', this.name, 'add', '7');
    assert.notEqual(status, 0);
    assert.match(stderr, /bad-params/);
  }

  /** Kills the program, and waits for the next one. */
  async outlives(): Promise<void> {
    const [sandbox] = await readySandboxes(this.name);
    assert.ok(typeof sandbox?.payloadPid === 'number');
    process.kill(sandbox.payloadPid, 'SIGKILL');
    await untilReplaced(this.name, 1, sandbox.unit);
  }

  async endsWhenTold(): Promise<void> {
    const [sandbox] = await readySandboxes(this.name);
    assert.ok(sandbox !== undefined);
    await systemctl('stop', `plugin@${this.name}`);
    const journal = await must('journalctl', '-u', 'bulkheadd', '-o', 'cat', '--no-pager', '-n', '200');
    assert.ok(journal.includes(`'${sandbox.unit}': exit status 0`), journal);
  }
}
