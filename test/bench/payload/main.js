// Says when its first line ran; for the benchmarks.
'use strict';

process.stdout.write(`started ${process.hrtime.bigint()}\n`);
setInterval(() => {}, 0x7fffffff);
