/** What a greeting says of this SDK; the version is the package's. */
export const SDK = 'node/0.1.0';
