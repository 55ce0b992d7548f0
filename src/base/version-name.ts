/** As the schema of declarations has it for `version`: a version is the name of a directory or of an image file. */
const VERSION = /^[A-Za-z0-9](?:[A-Za-z0-9_+~-]|\.(?!\.)){0,63}$/;

/** Whether this can name a version. Such a name is harmless in paths; what is hidden, as `.staging-1`, is none. */
export function isVersionName(name: string): boolean {
  return VERSION.test(name);
}
