// Text as the man(7) language wants it.

/** Escapes what the formatter takes for its own, and hyphens, which have to be copied as "-". */
export function escapeText(text) {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('…', '...')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('`', '\\(ga')
    .replaceAll('^', '\\(ha')
    .replaceAll('~', '\\(ti');
}

/** A paragraph's text: one sentence a line, as the language asks for, none of which begins like a request. */
export function prose(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return begun
    .split(/(?<=[a-z)'"0-9]\.) (?=[A-Z])/)
    .map((sentence) => `${escapeText(sentence).replace(/^\./, '\\&.')}\n`)
    .join('');
}

/** A tagged paragraph: the tag in bold, then lines of text and requests. */
export function tagged(tag, text) {
  return `.TP\n\\fB${escapeText(tag)}\\fR\n${text}`;
}
