/** Xids of NVIDIA's driver that are about hardware; the others are mostly the program's own mistakes. */
const HARDWARE_XIDS = [48, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140];

/** Lines `00000000:01:00.0, 3` of nvidia-smi: errors that could not be corrected, by bus. Other lines know no count. */
export function parseUncorrected(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [, bus = '', count = ''] of text.matchAll(/^\s*(\S+),\s*(\d+)\s*$/gm))
    found.set(plainBus(bus), Number(count));
  return found;
}

/** Lines `NVRM: Xid (PCI:0000:01:00): 79, ...` of the kernel's log: the last one about hardware, by bus. */
export function parseXids(text: string): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  for (const [, bus = '', xid = ''] of text.matchAll(/\bXid \(PCI:([0-9a-f:.]{1,20})\): (\d{1,5})\b/gi))
    if (HARDWARE_XIDS.includes(Number(xid))) found.set(plainBus(bus), Number(xid));
  return found;
}

/** `00000000:01:00.0`, `01:00.0` and `0000:01:00` are all `01:00`. */
export function plainBus(bus: string): string {
  const [, bare = bus] = /([0-9a-f]{2}:[0-9a-f]{2})(?:\.[0-9a-f])?$/i.exec(bus) ?? [];
  return bare.toLowerCase();
}
