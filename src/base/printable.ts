/** At most so many characters, without control characters: the text goes to terminals and to the journal. */
export function printable(text: string, most = 256): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.slice(0, most).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?');
}
