#pragma once

/*
 * Where a sandbox of a plugin that is upgraded in place has its tunnel, whose mounts follow the host's, and in it the live
 * version. src/plan/slot.ts has both, too.
 */
#define SLOT_PLACE "/run/slot"
#define SLOT_LIVE "current"
