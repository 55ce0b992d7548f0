import type { Listen } from '../declare/declaration.ts';
import { digestText } from './digest.ts';

/** Longest part of a key that is spelt out; systemd takes names of up to 255 characters (FDNAME_MAX). */
const SPELT_OUT = 160;

/**
 * Name of a listening socket in systemd's fd store: `PLUGIN/tcp/HOST/PORT` or `PLUGIN/unix/PATH`. It consists of
 * printable ASCII without ':' and '|', as the store demands.
 */
export function listenerKey(plugin: string, listen: Listen): string {
  if (listen.kind === 'tcp') return `${plugin}/tcp/${listen.host.replaceAll(':', '_')}/${listen.port}`;
  const path = Array.from(new TextEncoder().encode(listen.path), spell).join('');
  return `${plugin}/unix${path.length <= SPELT_OUT ? path : `/${digestText(listen.path)}`}`;
}

/** Whether the fd store's name is one of ours for this plugin. */
export function isListenerKeyOf(plugin: string, key: string): boolean {
  return key.startsWith(`${plugin}/tcp/`) || key.startsWith(`${plugin}/unix/`);
}

function spell(byte: number): string {
  const plain = byte > 0x20 && byte < 0x7f && byte !== 0x3a && byte !== 0x5c && byte !== 0x7c;
  return plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
}
