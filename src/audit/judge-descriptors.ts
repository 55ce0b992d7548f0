import type { DescriptorFacts, ProcessFacts, SandboxFacts } from './facts.ts';
import { type Finding, finding, wallOf } from './finding.ts';
import { nameOf } from './judge-processes.ts';

/** Numbers of null, zero, full, random, urandom and tty (devices.txt of the kernel's documentation). */
const PSEUDO_DEVICES = ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0'];

/** Objects without a name that programs make for themselves; none of them leads out. */
const ANONYMOUS = ['[eventpoll]', '[eventfd]', '[timerfd]', '[signalfd]', '[pidfd]', 'inotify', '[eventfd:'];

/** Those that only a grant lets a program make. */
const GRANTED: Readonly<Record<string, string>> = { io_uring: '[io_uring]', perf: '[perf_event]' };

const WANTED = 'only what programs make themselves, standard streams and listeners';

/** Open descriptors of the payload's processes. Init holds its own: report pipe, listeners, notification socket. */
export function judgeDescriptors(seen: SandboxFacts, grants: readonly string[]): Finding[] {
  const anonymous = [...ANONYMOUS, ...grants.flatMap((grant) => GRANTED[grant] ?? [])];
  const mounts = new Set(seen.mounts.map(({ id }) => id));
  const count = seen.processes.reduce((sum, { descriptors }) => sum + descriptors.length, 0);
  const unsure: string[] = [];
  const wrong: string[] = [];
  for (const member of seen.processes) {
    for (const descriptor of member.descriptors) {
      const [verdict, why] = judge(descriptor, member, seen, mounts, anonymous);
      const text = `${nameOf(member)}: descriptor ${descriptor.fd} is ${descriptor.target}${why}`;
      if (verdict === 'broken') wrong.push(text);
      if (verdict === 'unknown') unsure.push(text);
    }
  }
  const broken = wallOf('descriptors', WANTED, `${count} descriptors`, wrong);
  if (unsure.length === 0) return broken;
  const [first = ''] = unsure;
  const more = unsure.length === 1 ? '' : `, and ${unsure.length - 1} more`;
  return [
    ...broken.filter(({ verdict }) => verdict !== 'holds'),
    finding('descriptors', 'unknown', WANTED, first + more),
  ];
}

type Judgement = readonly ['holds' | 'broken' | 'unknown', string];

function judge(
  { target, mount, device, nameless }: DescriptorFacts,
  { namespaces }: ProcessFacts,
  { sockets, guardedPipes }: SandboxFacts,
  mounts: ReadonlySet<number>,
  anonymous: readonly string[],
): Judgement {
  if (target.startsWith('socket:')) return judgeSocket(sockets.get(target.replace(/\D/g, '')));
  if (target.startsWith('pipe:'))
    return guardedPipes.has(target) ? ['broken', ', which is of init or its parent'] : ['holds', ''];
  if (target.startsWith('anon_inode:')) {
    const kind = target.slice('anon_inode:'.length);
    return anonymous.some((known) => kind.startsWith(known)) ? ['holds', ''] : ['broken', ''];
  }
  if (!target.startsWith('/')) {
    return Object.values(namespaces).includes(target) ? ['holds', ''] : ['broken', ', which is none of its own'];
  }
  if (device !== undefined && PSEUDO_DEVICES.includes(device)) return ['holds', ''];
  // Made by memfd_create(2): of a file system that is mounted nowhere.
  if (target.startsWith('/memfd:') && nameless) return ['holds', ''];
  if (mount === undefined) return ['unknown', ', opened through a mount that is not told'];
  return mounts.has(mount) ? ['holds', ''] : ['broken', ', opened through a mount that the sandbox does not have'];
}

function judgeSocket(origin: ReturnType<SandboxFacts['sockets']['get']>): Judgement {
  if (origin === undefined || origin === 'nowhere') return ['unknown', ', in no table of sockets'];
  return origin === 'host' ? ['broken', ", a socket of the host's network namespace"] : ['holds', ''];
}
