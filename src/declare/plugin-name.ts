/** The longest plugin name: with slot and generation it still fits into a host name of 64 characters. */
export const LONGEST_PLUGIN_NAME = 48;

/** Whether this can name a plugin (or a template): see `whyNotPluginName`. */
export function isPluginName(name: string): boolean {
  return whyNotPluginName(name) === undefined;
}

/**
 * Why this cannot be the name of a plugin, or undefined when it can: 1 to 48 of a-z, 0-9, '-', '_' and '.', with a
 * letter or digit at both ends and no '..'. Such a name is harmless in paths, unit names and journal fields.
 */
export function whyNotPluginName(name: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.length > LONGEST_PLUGIN_NAME) return `it has ${name.length} characters, ${LONGEST_PLUGIN_NAME} are allowed`;
  const stranger = /[^a-z0-9._-]/u.exec(name)?.[0];
  if (stranger !== undefined) return `it contains ${JSON.stringify(stranger)}`;
  if (!/^[a-z0-9]/.test(name) || !/[a-z0-9]$/.test(name)) return 'it must begin and end with a letter or digit';
  if (name.includes('..')) return "it contains '..'";
  return undefined;
}
