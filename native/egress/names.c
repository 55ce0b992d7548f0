/*
 * From names to addresses, without ever waiting: /etc/hosts and resolv.conf(5) come from the reader, the rest from the
 * servers named there, over UDP. Each question has a socket of its own, connected to the server, so that the kernel
 * takes answers from nobody else, and at a port that it chose. What is found holds as long as the servers say, within
 * bounds: a name has to lead to its new place soon, and a burst of connections must not be a burst of questions.
 */
#include "egress/names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "egress/dns.h"
#include "egress/place.h"
#include "egress/reader.h"

/* For an answer of one server, and for the other half of an answer that is there already. */
enum { ANSWER_MS = 2000, OTHER_HALF_MS = 300 };
/* How often all servers are asked. */
enum { ROUNDS = 2 };
enum { LEAST_LIFE_MS = 1000, MOST_LIFE_MS = 60000 };

struct query {
    struct watch watch;
    struct lookup *lookup;
    unsigned char question[DNS_MESSAGE];
    size_t length;
    struct dns_answer answer;
    bool done;
};

struct lookup {
    struct route *route;
    const char *host;
    unsigned int port;
    bool asking;
    /* What is known, or that nothing is, holds until then. */
    int64_t holds_until;
    /* When the next server is asked; INT64_MAX while the reader is. */
    int64_t next_at;
    struct reader_answer known;
    size_t asked;
    struct query four, six;
};

static struct {
    struct watch reader;
    struct forwarder *forwarder;
    struct lookup *lookups[MOST_ROUTES];
    size_t count;
} names;

static void end_query(struct query *query) {
    if (query->watch.fd >= 0) (void)close(query->watch.fd);
    query->watch.fd = query->watch.events = -1;
}

static void add_open(struct lookup *lookup, const struct address *addresses, size_t count) {
    struct route *route = lookup->route;
    for (size_t i = 0; i < count && route->address_count < MOST_ADDRESSES; i++) {
        if (!place_is_open(&addresses[i])) continue;
        route->addresses[route->address_count] = addresses[i];
        address_set_port(&route->addresses[route->address_count++], lookup->port);
    }
}

static int64_t life_of(const struct lookup *lookup) {
    const struct dns_answer *four = &lookup->four.answer, *six = &lookup->six.answer;
    if (lookup->known.address_count > 0 || four->count + six->count == 0) return LEAST_LIFE_MS;
    uint32_t seconds = four->time_to_live < six->time_to_live ? four->time_to_live : six->time_to_live;
    if (seconds >= MOST_LIFE_MS / 1000) return MOST_LIFE_MS;
    return seconds == 0 ? LEAST_LIFE_MS : (int64_t)seconds * 1000;
}

/* IPv4 first: a host without IPv6 would wait for nothing. */
static void finish(struct lookup *lookup) {
    struct route *route = lookup->route;
    end_query(&lookup->four);
    end_query(&lookup->six);
    size_t found = lookup->known.address_count + lookup->four.answer.count + lookup->six.answer.count;
    route->address_count = 0;
    add_open(lookup, lookup->known.addresses, lookup->known.address_count);
    add_open(lookup, lookup->four.answer.addresses, lookup->four.answer.count);
    add_open(lookup, lookup->six.answer.addresses, lookup->six.answer.count);
    route->nowhere = found == 0 ? "no address is known for it" : "it leads to this host, to its link or to no host";
    lookup->asking = false;
    lookup->holds_until = names.forwarder->now + life_of(lookup);
    forward_resume(route);
}

static void ask(struct query *query, uint16_t type) {
    struct lookup *lookup = query->lookup;
    const struct address *server = &lookup->known.servers[lookup->asked % lookup->known.server_count];
    uint16_t id;
    end_query(query);
    if (getrandom(&id, sizeof(id), 0) != sizeof(id)) return;
    query->length = dns_question(query->question, id, lookup->host, type);
    int fd = socket(server->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    query->watch.fd = fd;
    if (connect(fd, &server->any, server->length) < 0 || send(fd, query->question, query->length, MSG_NOSIGNAL) < 0 ||
        watch_for(&query->watch, names.forwarder->epoll, EPOLLIN) < 0)
        end_query(query);
}

/* A server that fails or does not answer in time is followed by the next one; what is not sent counts as that. */
static void ask_next(struct lookup *lookup) {
    if (lookup->asked == lookup->known.server_count * ROUNDS) {
        finish(lookup);
        return;
    }
    if (!lookup->four.done) ask(&lookup->four, DNS_A);
    if (!lookup->six.done) ask(&lookup->six, DNS_AAAA);
    lookup->asked++;
    lookup->next_at = names.forwarder->now + ANSWER_MS;
}

static void query_ready(struct watch *watch, uint32_t events) {
    (void)events;
    struct query *query = (struct query *)watch;
    struct lookup *lookup = query->lookup;
    static unsigned char message[DNS_MESSAGE];
    ssize_t got = watch->fd < 0 ? 0 : recv(watch->fd, message, sizeof(message), MSG_DONTWAIT);
    if (watch->fd < 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) return;
    struct dns_answer answer = {0};
    enum dns_verdict verdict =
        got < 0 ? DNS_FAILURE : dns_read(message, (size_t)got, query->question, query->length, &answer);
    if (verdict == DNS_STRANGE) return;
    end_query(query);
    if (verdict == DNS_FAILURE) {
        /* In the next turn, so that a server that refuses is not asked in a loop of ours. */
        if (lookup->four.watch.fd < 0 && lookup->six.watch.fd < 0) lookup->next_at = names.forwarder->now;
        return;
    }
    query->answer = answer;
    query->done = true;
    if (lookup->four.done && lookup->six.done)
        finish(lookup);
    else if (answer.count > 0 && names.forwarder->now + OTHER_HALF_MS < lookup->next_at)
        lookup->next_at = names.forwarder->now + OTHER_HALF_MS;
}

static void reader_ready(struct watch *watch, uint32_t events) {
    (void)events;
    struct reader_answer answer;
    ssize_t got = recv(watch->fd, &answer, sizeof(answer), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got != sizeof(answer) || answer.index >= names.count) {
        names.forwarder->over = true;
        return;
    }
    struct lookup *lookup = names.lookups[answer.index];
    lookup->known = answer;
    if (answer.address_count > 0) {
        finish(lookup);
        return;
    }
    if (lookup->known.server_count == 0)
        lookup->known.server_count = address_parse("127.0.0.1", DNS_PORT, &lookup->known.servers[0]);
    ask_next(lookup);
}

int names_open(struct forwarder *forwarder, int reader) {
    names.forwarder = forwarder;
    names.reader = (struct watch){.ready = reader_ready, .fd = reader, .events = -1};
    return watch_for(&names.reader, forwarder->epoll, EPOLLIN);
}

bool names_add(struct route *route, const char *host, unsigned int port) {
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup == NULL) return false;
    lookup->route = route;
    lookup->host = host;
    lookup->port = port;
    lookup->four = lookup->six =
        (struct query){.watch = {.ready = query_ready, .fd = -1, .events = -1}, .lookup = lookup};
    names.lookups[names.count++] = lookup;
    return true;
}

/* Routes are few, and most of them names. */
static struct lookup *lookup_of(const struct route *route, unsigned int *index) {
    for (*index = 0; *index < names.count; ++*index)
        if (names.lookups[*index]->route == route) return names.lookups[*index];
    return NULL;
}

int names_find(struct route *route, int near) {
    (void)near;
    unsigned int index;
    struct lookup *lookup = lookup_of(route, &index);
    if (lookup == NULL) return 1;
    if (lookup->asking) return 0;
    if (names.forwarder->now < lookup->holds_until) return route->address_count > 0 ? 1 : -1;
    struct reader_question question = {.index = index};
    (void)memcpy(question.name, lookup->host, strlen(lookup->host) + 1);
    if (send(names.reader.fd, &question, sizeof(question), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(question)) return -1;
    lookup->asking = true;
    lookup->asked = 0;
    lookup->next_at = INT64_MAX;
    lookup->four.done = lookup->six.done = false;
    lookup->four.answer = lookup->six.answer = (struct dns_answer){.time_to_live = UINT32_MAX};
    return 0;
}

int64_t names_turn(struct forwarder *forwarder) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < names.count; i++) {
        struct lookup *lookup = names.lookups[i];
        if (!lookup->asking) continue;
        bool enough = lookup->four.answer.count + lookup->six.answer.count > 0;
        if (lookup->next_at <= forwarder->now && enough)
            finish(lookup);
        else if (lookup->next_at <= forwarder->now)
            ask_next(lookup);
        if (lookup->asking && lookup->next_at < next) next = lookup->next_at;
    }
    return next;
}
