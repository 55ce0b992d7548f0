/** Styles by meaning; the numbers are SGR parameters (ECMA-48, console_codes(4)). */
const STYLES = {
  good: '32',
  warning: '33',
  bad: '1;31',
  busy: '36',
  dim: '2',
  strong: '1',
} as const;

export type Style = keyof typeof STYLES;

export function paint(text: string, style: Style | undefined, colour: boolean): string {
  return colour && style !== undefined && text !== '' ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
}
