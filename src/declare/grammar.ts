import { check } from './check.generated.js';
import { keys as bulkheadKeys, check as checkBulkhead } from './check-bulkhead.generated.js';
import { CONFIGURATION_READERS } from './configuration-values.ts';
import { Keys, PLUGIN_KEYS } from './keys.ts';
import { UPGRADE_READERS } from './upgrade-values.ts';
import { READERS, type Reader } from './values.ts';

/** One finding of a compiled schema, as ajv gives it. */
export interface SchemaError {
  readonly instancePath: string;
  readonly schemaPath: string;
  readonly keyword: string;
  readonly propertyName?: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** What a kind of text may hold: the compiled schema, its keys, and the readers of what the schema cannot judge. */
export interface Grammar {
  readonly keys: Keys;
  readonly readers: ReadonlyMap<string, Reader>;
  /** What is wrong with plain values. */
  errors(data: unknown): readonly SchemaError[];
}

/** As ajv compiles a schema: the findings of the last call are at the function. */
interface Validator {
  (data: unknown): boolean;
  errors?: readonly SchemaError[] | null;
}

function grammar(validator: unknown, keys: Keys, readers: Grammar['readers']): Grammar {
  const validate = validator as Validator;
  return { keys, readers, errors: (data) => (validate(data) ? [] : (validate.errors ?? [])) };
}

export const CONFIGURATION_KEYS = new Keys(bulkheadKeys);

/** Declarations, drop-ins and templates. */
export const PLUGIN_GRAMMAR = grammar(check, PLUGIN_KEYS, new Map([...READERS, ...UPGRADE_READERS]));

/** bulkhead.yaml. */
export const CONFIGURATION_GRAMMAR = grammar(checkBulkhead, CONFIGURATION_KEYS, CONFIGURATION_READERS);
