/**
 * Units as D-Bus objects. The last part of the path is the unit's name with every byte outside A-Z, a-z, 0-9
 * (and a leading digit) written as `_hh` (sd_bus_path_encode(3)).
 */
const ROOT = '/org/freedesktop/systemd1/unit/';

export function unitPath(unit: string): string {
  let label = '';
  for (const byte of new TextEncoder().encode(unit)) {
    const character = String.fromCharCode(byte);
    const plain = /[A-Za-z]/.test(character) || (/[0-9]/.test(character) && label !== '');
    label += plain ? character : `_${byte.toString(16).padStart(2, '0')}`;
  }
  return ROOT + (label === '' ? '_' : label);
}

/** The unit's name, or undefined when the path is not that of a unit. */
export function unitOfPath(path: string): string | undefined {
  if (!path.startsWith(ROOT)) return undefined;
  const label = path.slice(ROOT.length);
  if (!/^([A-Za-z0-9]|_[0-9a-fA-F]{2})+$/.test(label)) return undefined;
  const percent = label.replaceAll('_', '%');
  try {
    return decodeURIComponent(percent);
  } catch {
    return undefined;
  }
}
