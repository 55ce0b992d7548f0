import { escapeText } from '../base/printable.ts';
import { renderUpgrade } from './render/upgrade-view.ts';
import type { Terminal } from './terminal.ts';
import type { UpgradeStatus } from './upgrade-api.ts';
import type { UpgradeWatcher } from './upgrade-follower.ts';

/** To the first column of the line above, and from there on everything is cleared (ECMA-48, console_codes(4)). */
const UP = '\u001b[A';
const CLEAR = '\r\u001b[J';

/** Whatever a look shows that is worth a line: times that only pass, and counts of requests, are not. */
export function changeOf({ step, stage, weight, weighed, old, new: side, judgement, undo }: UpgradeStatus): string {
  return JSON.stringify([step, stage, weight, weighed, old.ready, side.ready, judgement?.verdict, undo]);
}

/** Shows a change of version: on a terminal a block that is drawn anew in place, elsewhere a line for each change. */
export class UpgradeProgress implements UpgradeWatcher {
  readonly #plugin: string;
  readonly #terminal: Terminal;
  #drawn = 0;
  #said = '';
  #line = '';

  constructor(plugin: string, terminal: Terminal) {
    this.#plugin = plugin;
    this.#terminal = terminal;
  }

  seen(upgrade: UpgradeStatus): void {
    if (this.#terminal.interactive) return this.#draw(renderUpgrade(this.#plugin, upgrade, this.#terminal));
    const change = changeOf(upgrade);
    const line = `${this.#plugin}: ${escapeText(upgrade.line)}\n`;
    if (change === this.#said || line === this.#line) return;
    [this.#said, this.#line] = [change, line];
    this.#terminal.write(line);
  }

  away(): void {
    const text = `${this.#plugin}: the supervisor is away; what serves goes on, and so does this when it is back\n`;
    if (this.#terminal.interactive) return this.#draw(text);
    if (this.#said === text) return;
    this.#said = text;
    this.#terminal.write(text);
  }

  /** Nothing of the block is left on a terminal. */
  clear(): void {
    this.#draw('');
  }

  /** As much as the screen has room for: what scrolled away could not be drawn over. */
  #draw(text: string): void {
    if (!this.#terminal.interactive) return;
    const lines = text.split('\n').slice(0, Math.max(1, this.#terminal.rows - 1));
    this.#terminal.write(
      `${UP.repeat(this.#drawn)}${this.#drawn === 0 && text === '' ? '' : CLEAR}${lines.join('\n')}`,
    );
    this.#drawn = lines.length - 1;
  }
}
