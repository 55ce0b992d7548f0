import type { Place, Problem } from '../base/problem.ts';

/** One `Key=value` of a unit file's section. */
export interface Assignment {
  readonly key: string;
  readonly keyPlace: Place;
  readonly value: string;
  /** Where a character of the value is written; values can go over several lines. */
  readonly placeAt: (offset: number) => Place;
}

export interface UnitSection {
  /** Whether the section is there at all. */
  readonly present: boolean;
  readonly assignments: readonly Assignment[];
  readonly problems: readonly Problem[];
}

/** A stretch of a joined line: from this offset on, its characters stand at this line and column. */
interface Stretch {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

interface JoinedLine {
  readonly text: string;
  readonly stretches: readonly Stretch[];
}

/**
 * The assignments of one section of a unit file, by the rules of systemd.syntax(7): '#' and ';' begin comment lines, a
 * backslash at the end joins lines (comments between them are left out), sections may repeat. Other sections are
 * systemd's business and not looked at.
 */
export function readUnitSection(file: string, text: string, section: string): UnitSection {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  let inside = false;
  let present = false;
  for (const joined of joinLines(text)) {
    const placeAt = (offset: number) => placeIn(file, joined, offset);
    const begin = joined.text.search(/\S/);
    const content = joined.text.trim();
    // Lines that consist of nothing but a backslash join to nothing.
    if (content === '') continue;
    const header = /^\[(.*)\]$/.exec(content)?.[1];
    if (header !== undefined) {
      inside = header === section;
      present ||= inside;
      const odd = !inside && header.toLowerCase().replaceAll('_', '-') === section.toLowerCase();
      if (odd)
        problems.push({
          code: 'BH102',
          place: placeAt(begin),
          message: `unknown section '[${header}]'`,
          hint: `did you mean '[${section}]'?`,
        });
      continue;
    }
    if (!inside) continue;
    const equals = content.indexOf('=');
    if (equals < 1) {
      problems.push({ code: 'BH101', place: placeAt(begin), message: "not a line of the form 'key=value'" });
      continue;
    }
    const value = content.slice(equals + 1).trimStart();
    const valueBegin = begin + content.length - value.length;
    assignments.push({
      key: content.slice(0, equals).trimEnd(),
      keyPlace: placeAt(begin),
      value,
      placeAt: (offset) => placeAt(valueBegin + offset),
    });
  }
  return { present, assignments, problems };
}

function placeIn(file: string, { stretches }: JoinedLine, offset: number): Place {
  const stretch = stretches.findLast((candidate) => candidate.offset <= offset) ?? stretches[0];
  if (stretch === undefined) return { file, line: 1, column: 1 };
  return { file, line: stretch.line, column: stretch.column + offset - stretch.offset };
}

function* joinLines(text: string): Generator<JoinedLine> {
  let parts: string[] = [];
  let length = 0;
  let stretches: Stretch[] = [];
  let line = 0;
  for (const raw of text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)) {
    line++;
    const isComment = /^\s*[#;]/.test(raw);
    const continued = stretches.length > 0;
    if (isComment || (raw.trim() === '' && !continued)) continue;
    const begin = Math.max(raw.search(/\S/), 0);
    const joins = raw.endsWith('\\');
    const part = joins ? `${raw.slice(begin, -1)} ` : raw.slice(begin);
    stretches.push({ offset: length, line, column: begin + 1 });
    parts.push(part);
    length += part.length;
    if (joins) continue;
    yield { text: parts.join(''), stretches };
    parts = [];
    length = 0;
    stretches = [];
  }
  if (stretches.length > 0) yield { text: parts.join(''), stretches };
}
