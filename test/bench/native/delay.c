/* Runs a command as if it were far away: in a network namespace of its own, from which this machine is 10.79.0.1, and
 * each packet takes MS milliseconds there and as long back. For kernels without netem.
 *
 *   delay MS COMMAND...
 *
 * Two TUN devices, one on each side, and this program between them. SIGTERM goes to the command; ends as it ends.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PACKET = 1600, QUEUE = 16384, BATCH = 64, QUEUE_OF_DEVICE = 10000 };

struct packet {
  long long due;
  size_t length;
  char bytes[PACKET];
};

/* Packets that are on their way in one direction. All take as long, so the first is the next. */
struct way {
  int from, to;
  size_t first, count;
  struct packet *packets;
};

/* Not /dev/net/tun: where that is, systemd-nspawn makes one for each of its machines, which it may not everywhere. */
static const char device[] = "/dev/delay-tun";
static long long delay_ns;

static void fail(const char *what) {
  fprintf(stderr, "delay: %s: %s\n", what, strerror(errno));
  exit(1);
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void set_address(int control, struct ifreq *request, unsigned long what, const char *text) {
  struct sockaddr_in *address = (struct sockaddr_in *)&request->ifr_addr;
  memset(address, 0, sizeof *address);
  address->sin_family = AF_INET;
  inet_pton(AF_INET, text, &address->sin_addr);
  if (ioctl(control, what, request))
    fail(text);
}

static void set_up(int control, struct ifreq *request) {
  request->ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(control, SIOCSIFFLAGS, request))
    fail("cannot set the device up");
}

/* A TUN device in the network namespace that this process is in now. */
static int open_device(const char *address) {
  int fd = open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "delay"};
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request))
    fail("cannot make a TUN device");
  int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  set_address(control, &request, SIOCSIFADDR, address);
  set_address(control, &request, SIOCSIFNETMASK, "255.255.255.252");
  request.ifr_qlen = QUEUE_OF_DEVICE;
  if (ioctl(control, SIOCSIFTXQLEN, &request))
    fail("cannot lengthen the queue");
  set_up(control, &request);
  struct ifreq loopback = {.ifr_name = "lo"};
  set_up(control, &loopback);
  close(control);
  return fd;
}

static void take(struct way *way) {
  for (int i = 0; i < BATCH && way->count < QUEUE; i++) {
    struct packet *packet = &way->packets[(way->first + way->count) % QUEUE];
    ssize_t length = read(way->from, packet->bytes, PACKET);
    if (length <= 0)
      return;
    packet->length = (size_t)length;
    packet->due = now_ns() + delay_ns;
    way->count++;
  }
}

static void deliver(struct way *way) {
  long long now = now_ns();
  while (way->count > 0 && way->packets[way->first].due <= now) {
    struct packet *packet = &way->packets[way->first];
    if (write(way->to, packet->bytes, packet->length) < 0 && errno == EAGAIN)
      return;
    way->first = (way->first + 1) % QUEUE;
    way->count--;
  }
}

static struct way way_between(int from, int to) {
  struct packet *packets = calloc(QUEUE, sizeof *packets);
  if (!packets)
    fail("no memory");
  return (struct way){.from = from, .to = to, .packets = packets};
}

static pid_t start(char **command, const sigset_t *before) {
  pid_t child = fork();
  if (child != 0)
    return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigprocmask(SIG_SETMASK, before, NULL);
  execv(command[0], command);
  fail(command[0]);
  return -1;
}

static struct timespec until_next(const struct way *one, const struct way *other) {
  long long wait = 100000000, now = now_ns();
  const struct way *const both[] = {one, other};
  for (int i = 0; i < 2; i++)
    if (both[i]->count > 0 && both[i]->packets[both[i]->first].due - now < wait)
      wait = both[i]->packets[both[i]->first].due - now;
  return (struct timespec){.tv_nsec = wait > 0 ? wait : 0};
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: delay MS COMMAND...\n");
    return 2;
  }
  delay_ns = atoll(argv[1]) * 1000000;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (mknod(device, S_IFCHR | 0600, makedev(10, 200)) && errno != EEXIST)
    fail(device);
  int here = open_device("10.79.0.1");
  if (unshare(CLONE_NEWNET))
    fail("no network namespace");
  int there = open_device("10.79.0.2");
  struct way out = way_between(there, here), back = way_between(here, there);
  sigset_t signals, before;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, &before);
  int told = signalfd(-1, &signals, SFD_CLOEXEC);
  pid_t child = start(argv + 2, &before);
  for (;;) {
    struct pollfd polled[] = {
      {.fd = there, .events = POLLIN}, {.fd = here, .events = POLLIN}, {.fd = told, .events = POLLIN}};
    struct timespec wait = until_next(&out, &back);
    ppoll(polled, 3, &wait, NULL);
    take(&out);
    take(&back);
    deliver(&out);
    deliver(&back);
    if (!polled[2].revents)
      continue;
    struct signalfd_siginfo which;
    if (read(told, &which, sizeof which) == sizeof which && which.ssi_signo == SIGTERM)
      kill(child, SIGTERM);
    int status;
    if (waitpid(child, &status, WNOHANG) == child)
      return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
  }
}
