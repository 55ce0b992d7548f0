import { execFile } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';

/** One lab machine as the package tests use it, driven by test/lab/lab; and the packages they install there. */

export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the checkout; never throws for an exit status. */
export function runHere(program: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    execFile(program, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ status: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function must(program: string, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runHere(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with status ${status}:\n${stdout}${stderr}`);
  return stdout;
}

export class Machine {
  readonly #name: string;

  private constructor(name: string) {
    this.#name = name;
  }

  /** Boots a machine; its name is this process's own. */
  static async up(purpose: string, ...options: readonly string[]): Promise<Machine> {
    const machine = new Machine(`package-${purpose}-${process.pid}`);
    // Whoever runs the tests removes it, should this process not come to that.
    const { BULKHEAD_TEST_MACHINES: list } = process.env;
    if (list !== undefined) appendFileSync(list, `test/lab/lab ${machine.#name}\n`);
    await must('test/lab/lab', ['up', machine.#name, ...options]);
    return machine;
  }

  /** Runs a shell script there. */
  run(script: string): Promise<Outcome> {
    return runHere('test/lab/lab', ['exec', this.#name, 'bash', '-c', `cd /root && ${script}`]);
  }

  /** Runs a shell script there that has to succeed, and returns what it printed, without the last line end. */
  async get(script: string): Promise<string> {
    const { status, stdout, stderr } = await this.run(script);
    if (status !== 0) throw new Error(`'${script}' ended with status ${status}:\n${stdout}${stderr}`);
    return stdout.trimEnd();
  }

  /** Copies a file there and returns its path. */
  async push(file: string, destination = `/root/${basename(file)}`): Promise<string> {
    await must('test/lab/lab', ['push', this.#name, file, destination]);
    return destination;
  }

  /** Ends everything there at once, and starts the machine again from its disk. */
  async powerCycle(): Promise<void> {
    await must('test/lab/lab', ['kill', this.#name]);
    await must('test/lab/lab', ['boot', this.#name]);
  }

  async down(): Promise<void> {
    await must('test/lab/lab', ['down', this.#name]);
  }
}

/** Makes a package of this checkout, compressed quickly unless it is to be as released, and returns its path. */
export async function makePackage(
  name: 'bulkhead' | 'bulkhead-node',
  version?: string,
  compression: 'fast' | 'release' = 'fast',
): Promise<string> {
  const output = `build/test-packages/${compression}`;
  const options = ['--output', output];
  if (compression === 'fast') options.push('--fast');
  if (version !== undefined) options.push('--version', version);
  if (name === 'bulkhead-node') options.push('--with-node');
  const printed = await must('packaging/package', options);
  const line = printed.split('\n').find((each) => each.startsWith(`package: ${join(output, name)}_`));
  const file = line?.slice('package: '.length) ?? '';
  if (!existsSync(file)) throw new Error(`packaging/package did not make ${name}:\n${printed}`);
  return file;
}
