#include "addon.h"

NAPI_MODULE_INIT() {
    static const struct {
        const char *name;
        napi_callback function;
    } table[] = {
        {"sendDatagram", send_datagram},
        {"sendWithFds", send_with_fds},
        {"peerCredentials", peer_credentials},
        {"pipe", make_pipe},
        {"setCloexec", set_cloexec},
        {"setBlocking", set_blocking},
        {"duplicate", duplicate},
        {"listenTcp", listen_tcp},
        {"listenUnix", listen_unix},
        {"socketAddress", socket_address},
        {"isListening", is_listening},
        {"wakeWaiters", wake_listener},
        {"attachWeight", attach_weight},
        {"queueLength", queue_length},
        {"openProcess", open_process},
        {"takeDescriptor", take_descriptor},
        {"queueSignal", queue_signal},
        {"lockFile", lock_file},
        {"mapShared", map_shared},
        {"connectUnix", connect_unix},
        {"closeDescriptor", close_descriptor},
        {"finishWriting", finish_writing},
        {"unread", unread},
        {"receive", receive_stream},
        {"makeBody", make_body},
        {"mapBody", map_body},
        {"watch", watch_descriptor},
        {"watchFor", watch_for},
        {"unwatch", unwatch},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        napi_value function;
        if (napi_create_function(env, table[i].name, NAPI_AUTO_LENGTH, table[i].function, NULL, &function) != napi_ok)
            return NULL;
        if (napi_set_named_property(env, exports, table[i].name, function) != napi_ok) return NULL;
    }
    return exports;
}
