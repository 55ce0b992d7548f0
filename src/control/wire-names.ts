/** Names of the public D-Bus API. They are stable. */
export const MANAGER_NAME = 'org.bulkhead.Manager1';
export const MANAGER_PATH = '/org/bulkhead/Manager1';
export const MANAGER_INTERFACE = 'org.bulkhead.Manager1';

/** One row of ListPlugins: name, state, version, line, ready, size, code of the reason, reason; '' for none. */
export type ListRow = [string, string, string, string, number, number, string, string];
