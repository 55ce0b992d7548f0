import type { Verb } from './verb.ts';
import { AUDIT } from './verbs/audit.ts';
import { CALL } from './verbs/call.ts';
import { CHECK } from './verbs/check.ts';
import { COMPLETE } from './verbs/complete.ts';
import { RESTART, START, STOP } from './verbs/control.ts';
import { DOCTOR } from './verbs/doctor.ts';
import { EVENTS } from './verbs/events.ts';
import { helpVerb } from './verbs/help.ts';
import { INCIDENTS } from './verbs/incidents.ts';
import { LEARN } from './verbs/learn.ts';
import { LIST } from './verbs/list.ts';
import { LOGS } from './verbs/logs.ts';
import { NODE } from './verbs/node.ts';
import { RECYCLE, RELEASE } from './verbs/order.ts';
import { PLAN } from './verbs/plan.ts';
import { SAFE_MODE } from './verbs/safe-mode.ts';
import { STATUS } from './verbs/status.ts';
import { TOP } from './verbs/top.ts';
import { ROLLBACK, UPGRADE } from './verbs/upgrade.ts';
import { VERSION_VERB } from './verbs/version.ts';
import { INSTALL, REMOVE, VERSIONS } from './verbs/versions.ts';
import { WHY } from './verbs/why.ts';

/** All verbs, in the order of the help. */
export const VERBS: readonly Verb[] = [
  LIST,
  STATUS,
  WHY,
  INCIDENTS,
  TOP,
  START,
  STOP,
  RESTART,
  INSTALL,
  VERSIONS,
  REMOVE,
  UPGRADE,
  ROLLBACK,
  RECYCLE,
  RELEASE,
  CALL,
  CHECK,
  PLAN,
  AUDIT,
  LEARN,
  EVENTS,
  LOGS,
  NODE,
  SAFE_MODE,
  DOCTOR,
  VERSION_VERB,
  helpVerb(() => VERBS),
  COMPLETE,
];
