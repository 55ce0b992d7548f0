/*
 * The host's side: things that everybody there may use, so that only a wall keeps a sandbox from them. One line
 * each, "NAME VALUE"; then "held", and they stay until this process is killed, or its standard input ends.
 */
#include "holder.h"

#include <asm/unistd.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define QUEUE "/hostile-queue"

static int abstract_socket(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    static const char name[] = "hostile-abstract";
    (void)memcpy(address.sun_path + 1, name, sizeof(name) - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name));
    if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 16) < 0) return -1;
    (void)printf("abstract %s\n", name);
    return fd;
}

int hold_everything(void) {
    int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666), queue = msgget(IPC_PRIVATE, IPC_CREAT | 0666);
    int semaphores = semget(IPC_PRIVATE, 1, IPC_CREAT | 0666);
    (void)umask(0);
    mqd_t posix = mq_open(QUEUE, O_CREAT | O_RDWR, 0666, NULL);
    long key = syscall(__NR_add_key, "user", "hostile-key", "secret", 6, -4 /* KEY_SPEC_USER_KEYRING */);
    if (segment < 0 || queue < 0 || semaphores < 0 || posix < 0 || abstract_socket() < 0) {
        perror("hostile hold");
        return 1;
    }
    (void)printf("segment %d\nqueue %d\nsemaphores %d\nkey %ld\nheld\n", segment, queue, semaphores, key);
    (void)fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) continue;
    (void)shmctl(segment, IPC_RMID, NULL);
    (void)msgctl(queue, IPC_RMID, NULL);
    (void)semctl(semaphores, 0, IPC_RMID);
    (void)mq_unlink(QUEUE);
    if (key >= 0) (void)syscall(__NR_keyctl, 9 /* KEYCTL_UNLINK */, key, -4);
    return 0;
}
