import type { Clock, Owned } from '../../../../src/base/clock.ts';
import { Failure } from '../../../../src/base/failure.ts';
import type { DoctorFacts } from '../../../../src/control/doctor-checks.ts';
import type { Terminal } from '../../../../src/control/terminal.ts';
import type { SafeModeSwitch, World } from '../../../../src/control/verb.ts';
import type { VersionStore } from '../../../../src/control/version-store.ts';
import { connect } from '../../../../src/rpc/client/client.ts';
import type { FakeManager } from './fake-manager.ts';
import { healthyFacts } from './healthy-facts.ts';

export class FakeTerminal implements Terminal {
  text = '';
  interactive = false;
  colour = false;
  columns = Number.POSITIVE_INFINITY;
  rows = Number.POSITIVE_INFINITY;

  write(text: string) {
    this.text += text;
  }
}

/** Time stands still unless a test moves it. */
export class FakeClock implements Clock {
  #now = 0;
  #timers = new Set<{ at: number; run: () => void }>();

  now() {
    return this.#now;
  }

  after(delayMs: number, run: () => void): Owned {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.add(timer);
    return { release: () => this.#timers.delete(timer) };
  }

  get timers() {
    return this.#timers.size;
  }

  advance(ms: number) {
    const until = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = next.at;
      next.run();
    }
    this.#now = until;
  }
}

export class FakeWorld implements World {
  readonly out = new FakeTerminal();
  readonly err = new FakeTerminal();
  readonly clock = new FakeClock();
  /** undefined: nobody answers. */
  supervisor: FakeManager | undefined;
  facts: DoctorFacts = healthyFacts();
  /** Why safe mode is on. */
  safe: string | undefined;
  readonly safeMode: SafeModeSwitch = {
    reason: () => this.safe,
    turnOn: () => {
      this.safe = 'turned on by a test';
    },
    turnOff: () => {
      this.safe = undefined;
    },
  };
  /** What there is of versions, for the tests that need it. */
  versions: VersionStore = {
    install: () => Promise.reject(new Failure('BH403', 'not here')),
    list: () => [],
    remove: () => {},
    removeOld: () => [],
    tell: () => {},
  };
  connect = connect;
  ran: string[] = [];
  runStatus = 0;
  interrupt: () => void = () => {};
  checkResult: Awaited<ReturnType<World['check']>> = { targets: [] };

  constructor(supervisor?: FakeManager) {
    this.supervisor = supervisor;
  }

  async manager() {
    if (this.supervisor === undefined) throw new Failure('BH402', 'nobody owns org.bulkhead.Manager1');
    return this.supervisor;
  }

  async declaredNames() {
    return ['hello', 'retrieval'];
  }

  async installedVersions(plugin: string) {
    return plugin === 'hello' ? ['v1', 'v2'] : [];
  }

  async check() {
    return this.checkResult;
  }

  async planOffline(name: string) {
    return { plugin: name, version: null, digest: 'd', sections: [], differences: [], reload: null, compared: false };
  }

  async gatherDoctorFacts() {
    return this.facts;
  }

  async run(program: string, args: readonly string[]) {
    this.ran = [program, ...args];
    return this.runStatus;
  }

  async passwordAgent() {
    return { release: () => {} };
  }

  interrupted(): Promise<void> {
    return new Promise((resolve) => {
      this.interrupt = resolve;
    });
  }
}
