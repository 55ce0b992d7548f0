import type { Listen } from '../declare/declaration.ts';
import { digestText } from './digest.ts';
import type { SlotName } from './plan.ts';

/** Longest part of a key that is spelt out; systemd takes names of up to 255 characters (FDNAME_MAX). */
const SPELT_OUT = 160;
/** Follows the key of an address in the name of slot b's listener; no path that is declared has two strokes in a row. */
const OF_B = '//b';

/**
 * Name of an address that a plugin listens on: `PLUGIN/tcp/HOST/PORT` or `PLUGIN/unix/PATH`. It consists of printable
 * ASCII without ':' and '|', as systemd's fd store demands.
 */
export function listenerKey(plugin: string, listen: Listen): string {
  if (listen.kind === 'tcp') return `${plugin}/tcp/${listen.host.replaceAll(':', '_')}/${listen.port}`;
  const path = Array.from(new TextEncoder().encode(listen.path), spell).join('');
  return `${plugin}/unix${path.length <= SPELT_OUT ? path : `/${digestText(listen.path)}`}`;
}

/** Name of a slot's listener at the address, also in the fd store. That of slot a is the address's own. */
export function slotKey(key: string, slot: SlotName): string {
  return slot === 'a' ? key : `${key}${OF_B}`;
}

/** The address of a listener, and its slot. */
export function parseSlotKey(key: string): { readonly key: string; readonly slot: SlotName } {
  return key.endsWith(OF_B) ? { key: key.slice(0, -OF_B.length), slot: 'b' } : { key, slot: 'a' };
}

/** Whether the fd store's name is one of ours for this plugin. */
export function isListenerKeyOf(plugin: string, key: string): boolean {
  return key.startsWith(`${plugin}/tcp/`) || key.startsWith(`${plugin}/unix/`);
}

function spell(byte: number): string {
  const plain = byte > 0x20 && byte < 0x7f && byte !== 0x3a && byte !== 0x5c && byte !== 0x7c;
  return plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}
