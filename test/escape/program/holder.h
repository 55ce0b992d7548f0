#pragma once

/* Makes one of everything that a host has and a sandbox must not see, says what, and waits to be killed. */
int hold_everything(void);
