/** Sizes as systemd writes them: powers of 1024 with K, M, G, T; a bare number is bytes. */
const FACTORS: Readonly<Record<string, number>> = { '': 1, B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

/** Bytes (0 to 2^53-1), or undefined when the text is not a size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([BKMGT]?)$/.exec(text.trim());
  if (match === null) return undefined;
  const factor = FACTORS[match[2] ?? ''];
  if (factor === undefined) return undefined;
  const bytes = Math.floor(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The largest unit that keeps the number whole or at one decimal: `1536M`, `2G`, `61.3M`. */
export function formatBytes(bytes: number): string {
  for (const unit of ['T', 'G', 'M', 'K'] as const) {
    const factor = FACTORS[unit] as number;
    if (bytes >= factor && (bytes % factor === 0 || unit === 'K' || bytes >= 10 * factor)) {
      return `${Number((bytes / factor).toFixed(1))}${unit}`;
    }
  }
  return `${bytes}B`;
}
