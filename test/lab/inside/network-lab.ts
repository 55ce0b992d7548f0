import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { declare, must, run, systemctl, until, untilWhole } from '../../support/system.ts';

/** The other machine of these tests is a network namespace: its addresses, and ours on the link to it. */
export const FAR = { four: '10.78.0.2', six: 'fd78::2', metadata: '169.254.169.254', own: '10.78.0.1' };
export const PORTS = { echo: 7001, other: 7002, deaf: 7003, open: 7004, local: 7005 };

/** Serves each port on all addresses: echo says what it hears and then END; deaf never reads; open never closes. */
const FAR_PROGRAM = `
import socket, sys, threading
kept = []
def echo(c):
    try:
        while True:
            data = c.recv(65536)
            if not data: break
            c.sendall(data)
        c.sendall(b'END')
    except OSError: pass
    finally: c.close()
def deaf(c):
    kept.append(c)
def still_open(c):
    kept.append(c)
    while c.recv(65536): pass
def serve(s, work):
    while True:
        c, _ = s.accept()
        threading.Thread(target=work, args=(c,), daemon=True).start()
for port, work in zip(map(int, sys.argv[1:]), (echo, echo, deaf, still_open)):
    s = socket.create_server(('', port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
    threading.Thread(target=serve, args=(s, work), daemon=True).start()
print('ready', flush=True)
threading.Event().wait()
`;

/** Does what it is asked in one line, from inside of a sandbox, and says in one line what came of it. */
export const CLIENT_PROGRAM = `
import hashlib, json, socket, threading
def exchange(s, size):
    sent = b'0123456789abcdef' * (size // 16)
    failed = []
    def send():
        try:
            s.sendall(sent)
            s.shutdown(socket.SHUT_WR)
        except OSError as error: failed.append(type(error))
    sender = threading.Thread(target=send)
    sender.start()
    got = b''.join(iter(lambda: s.recv(65536), b''))
    sender.join()
    # Whichever of the two hears of a reset first, the other one does not.
    if failed: raise failed[0]()
    return 'whole' if got == sent + b'END' else 'got %d bytes' % len(got)
def attempt(q):
    kind = q['kind']
    if kind == 'exchange':
        with socket.create_connection((q['host'], q['port']), timeout=20) as s: return exchange(s, q['bytes'])
    if kind == 'many':
        for _ in range(q['count']):
            s = socket.create_connection((q['host'], q['port']), timeout=20)
            s.sendall(b'x'); s.shutdown(socket.SHUT_WR)
            got = b''.join(iter(lambda: s.recv(100), b''))
            s.close()
            if got != b'xEND': return repr(got)
        return 'all'
    if kind == 'open':
        for _ in range(q['count']):
            s = socket.create_connection((q['host'], q['port']), timeout=20)
            s.setblocking(False)
            try:
                while q.get('fill'): s.send(b'x' * 65536)
            except BlockingIOError: pass
            kept.append(s)
        return 'open'
    if kind == 'udp':
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(2)
        s.connect((q['host'], q['port'])); s.send(bytes(12)); return 'answered %d' % len(s.recv(512))
    if kind == 'raw': return str(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    if kind == 'resolve': return socket.gethostbyname(q['host'])
    if kind == 'abstract':
        s = socket.socket(socket.AF_UNIX)
        s.connect(b'\\0' + q['host'].encode()); return 'connected'
kept = []
def work(c):
    for line in c.makefile('r'):
        try: answer = attempt(json.loads(line))
        except Exception as error: answer = type(error).__name__
        c.sendall((answer + '\\n').encode())
def serve():
    listener = socket.socket(fileno=3)
    while True:
        c, _ = listener.accept()
        threading.Thread(target=work, args=(c,), daemon=True).start()
serve()
`;

export interface Question {
  readonly kind: 'exchange' | 'many' | 'open' | 'udp' | 'raw' | 'resolve' | 'abstract';
  readonly host?: string;
  readonly port?: number;
  readonly [more: string]: unknown;
}

/** Asks a client in a sandbox to do something; the one line that it answers. */
export function ask(port: number, question: Question, host = '127.0.0.1'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let answer = '';
    socket.on('connect', () => socket.write(`${JSON.stringify(question)}\n`));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
      if (answer.endsWith('\n')) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer.trim() || 'no answer'));
  });
}

let far: ChildProcess | undefined;

/** Makes the other machine and the link to it. */
export async function makeFar(): Promise<void> {
  await must('ip', 'netns', 'add', 'far');
  await must('ip', 'link', 'add', 'near0', 'type', 'veth', 'peer', 'name', 'far0', 'netns', 'far');
  await must('ip', 'address', 'add', `${FAR.own}/24`, 'dev', 'near0');
  await must('ip', 'address', 'add', 'fd78::1/64', 'dev', 'near0', 'nodad');
  await must('ip', 'link', 'set', 'near0', 'up');
  const inside = (...words: string[]) => must('ip', '-n', 'far', ...words);
  await inside('address', 'add', `${FAR.four}/24`, 'dev', 'far0');
  await inside('address', 'add', `${FAR.six}/64`, 'dev', 'far0', 'nodad');
  await inside('address', 'add', `${FAR.metadata}/32`, 'dev', 'far0');
  await inside('link', 'set', 'far0', 'up');
  await must('ip', 'route', 'add', `${FAR.metadata}/32`, 'dev', 'near0');
  const ports = [PORTS.echo, PORTS.other, PORTS.deaf, PORTS.open].map(String);
  far = spawn('ip', ['netns', 'exec', 'far', 'python3', '-c', FAR_PROGRAM, ...ports], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  far.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until('the other machine serves', () => said.includes('ready'));
}

export async function removeFar(): Promise<void> {
  far?.kill('SIGKILL');
  await run('ip', 'link', 'del', 'near0');
  await run('ip', 'netns', 'del', 'far');
}

/** Answers questions about names from a table: A and AAAA; other names do not exist. Counts what it was asked. */
export class NameServer {
  readonly asked = new Map<string, number>();
  readonly #addresses: Map<string, { readonly four?: string; readonly six?: string }>;
  readonly #socket: UdpSocket;
  readonly #resolvConf = readFileSync('/etc/resolv.conf', 'utf8');

  constructor(addresses: Readonly<Record<string, { readonly four?: string; readonly six?: string }>>) {
    this.#addresses = new Map(Object.entries(addresses));
    this.#socket = createSocket('udp4');
    this.#socket.on('message', (question, peer) => {
      const answer = this.#answer(question);
      if (answer !== undefined) this.#socket.send(answer, peer.port, peer.address);
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.bind(53, '127.0.0.153', resolve));
    // The second one is never there, and must not matter.
    writeFileSync('/etc/resolv.conf', '# of a test\nnameserver 127.0.0.153\nnameserver 127.0.0.154\n');
  }

  stop(): void {
    this.#socket.close();
    writeFileSync('/etc/resolv.conf', this.#resolvConf);
  }

  set(name: string, addresses: { readonly four?: string; readonly six?: string }): void {
    this.#addresses.set(name, addresses);
  }

  #answer(question: Buffer): Buffer | undefined {
    const labels: string[] = [];
    let at = 12;
    for (let length = question[at] ?? 0; length > 0; length = question[at] ?? 0) {
      labels.push(question.subarray(at + 1, at + 1 + length).toString('latin1'));
      at += 1 + length;
    }
    const name = labels.join('.');
    const type = question.readUInt16BE(at + 1);
    const end = at + 5;
    this.asked.set(name, (this.asked.get(name) ?? 0) + 1);
    const known = this.#addresses.get(name);
    const text = type === 1 ? known?.four : known?.six;
    const header = Buffer.from(question.subarray(0, 12));
    header.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
    header.writeUInt16BE(text === undefined ? 0 : 1, 6);
    header.writeUInt16BE(0, 10);
    const parts = [header, question.subarray(12, end)];
    if (text !== undefined) {
      const data = type === 1 ? Buffer.from(text.split('.').map(Number)) : sixBytes(text);
      const record = Buffer.alloc(12);
      record.writeUInt16BE(0xc00c, 0);
      record.writeUInt16BE(type, 2);
      record.writeUInt16BE(1, 4);
      record.writeUInt32BE(1, 6);
      record.writeUInt16BE(data.length, 10);
      parts.push(record, data);
    }
    return Buffer.concat(parts);
  }
}

/** Of an address with one '::'. */
function sixBytes(text: string): Buffer {
  const [left = [], right = []] = text.split('::').map((half) => half.split(':').filter((group) => group !== ''));
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** Starts a client that may connect to these. */
export async function startClient(
  name: string,
  port: number,
  isolation: string,
  egress: readonly string[],
): Promise<void> {
  declare(name, [
    'template: python',
    `exec: [/usr/bin/python3, -c, ${JSON.stringify(CLIENT_PROGRAM)}]`,
    `isolation: ${isolation}`,
    `listen: [{ tcp: 127.0.0.1:${port} }]`,
    `network: { egress: ${JSON.stringify(egress)} }`,
    'limits: { tasks: 600, files: 4096 }',
  ]);
  await systemctl('start', `plugin@${name}`);
  await untilWhole(name, 1);
}
