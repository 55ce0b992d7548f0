import { readFileSync } from 'node:fs';
import { RecordReader } from './base/record-reader.ts';
import { formatVersionCheck } from './base/version-check.ts';
import { verifyVersion } from './install/verify-version.ts';

/** The main of bulkhead-check@.service: compares the version that a file names, and tells it on standard output. */
const request = RecordReader.parse(readFileSync(process.argv[2] ?? '', 'utf8'));
const check = verifyVersion(request.text('plugin', 256), request.text('version', 256));
process.stdout.write(formatVersionCheck(check), () => process.exit(0));
