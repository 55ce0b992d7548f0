/** Names of the capabilities by number, 0 first (linux/capability.h, capabilities(7)). */
const NAMES = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP'],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  'CHECKPOINT_RESTORE',
].map((name) => `CAP_${name}`);

/** The set with these capabilities; a name that is not known adds nothing. */
export function capabilityMask(names: readonly string[]): bigint {
  return names.reduce((mask, name) => {
    const number = NAMES.indexOf(name);
    return number < 0 ? mask : mask | (1n << BigInt(number));
  }, 0n);
}

/** The names in a set; `none` for the empty one, numbers for those that are newer than the table. */
export function capabilityText(mask: bigint): string {
  const names: string[] = [];
  for (let number = 0; number < 64; number++) {
    if ((mask >> BigInt(number)) & 1n) names.push(NAMES[number] ?? `capability ${number}`);
  }
  return names.length === 0 ? 'none' : names.join(' ');
}
