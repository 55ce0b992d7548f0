/** Who runs this program, for people; what root says about itself is believed. */
export function caller(): string {
  const { SUDO_USER, SUDO_UID } = process.env;
  return SUDO_USER === undefined ? `uid ${process.getuid?.() ?? '?'}` : `${SUDO_USER} (uid ${SUDO_UID ?? '?'}) by sudo`;
}
