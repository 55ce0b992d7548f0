/** What a benchmark wants different from a plugin of three lines. */
export interface DeclarationWishes {
  /** TCP port on 127.0.0.1; none without it. */
  readonly port?: number;
  readonly size?: number;
  /** Lines of `recovery:`, indented as they are to be. */
  readonly recovery?: readonly string[];
}

/** The lines of a declaration that follow template and version. */
export function declarationLines({ port, size = 1, recovery }: DeclarationWishes): string[] {
  return [
    ...(port === undefined ? [] : [`listen: [{ tcp: 127.0.0.1:${port} }]`]),
    `pool: { size: ${size} }`,
    ...(recovery === undefined ? [] : ['recovery:', ...recovery]),
  ];
}
