#include "namespace.h"

CLONE_WITHOUT(CLONE_NEWIPC)
