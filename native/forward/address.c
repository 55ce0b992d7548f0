#include "forward/address.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/text.h"

bool address_parse(const char *text, unsigned int port, struct address *address) {
    *address = (struct address){0};
    if (inet_pton(AF_INET, text, &address->four.sin_addr) == 1) {
        address->four.sin_family = AF_INET;
        address->length = sizeof(address->four);
    } else if (inet_pton(AF_INET6, text, &address->six.sin6_addr) == 1) {
        address->six.sin6_family = AF_INET6;
        address->length = sizeof(address->six);
    } else {
        return false;
    }
    address_set_port(address, port);
    return true;
}

void address_set_port(struct address *address, unsigned int port) {
    if (address->any.sa_family == AF_INET)
        address->four.sin_port = htons((uint16_t)port);
    else
        address->six.sin6_port = htons((uint16_t)port);
}

bool address_split(const char *text, char host[HOST_SIZE], unsigned int *port) {
    const char *end = strrchr(text, ':');
    unsigned long number;
    if (end == NULL || !text_number(end + 1, 1, 65535, &number)) return false;
    if (text[0] == '[') {
        text++;
        if (--end < text || *end != ']') return false;
    }
    size_t length = (size_t)(end - text);
    if (length == 0 || length >= HOST_SIZE) return false;
    (void)memcpy(host, text, length);
    host[length] = '\0';
    *port = (unsigned int)number;
    return true;
}
