#pragma once
#include <stdbool.h>

#include "forward/address.h"

/*
 * Whether a name may lead there. Not to the host itself, be it by loopback or by an address of its own, nor to what is
 * on the same link only, or is no single host: whoever answers for the name must not open what nobody declared.
 */
bool place_is_open(const struct address *address);
