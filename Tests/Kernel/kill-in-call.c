// Loaded into causewayd (LD_PRELOAD) to kill it around one of its calls to the kernel: the one that gives an NBD device
// another size, which the daemon makes in a process of its own.
//
// While the file $KILL_IN_CALL exists, the first such call takes it away and does what its first word says:
//   early               the daemon is killed before the message to the kernel is made
//   before              ... when it is made, and goes to the kernel once the daemon is dead
//   within NANOSECONDS  ... so long after it was given to the kernel
//   after               ... when the kernel has come back from it, and before its answer is read
// $KILL_IN_CALL.done then says in one of these words when the kill really came.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/nbd-netlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// NBD_CMD_RECONFIGURE with a size and without sockets.
static int is_resize(const struct msghdr *message)
{
    if (message->msg_iovlen != 1 || message->msg_iov[0].iov_len < NLMSG_HDRLEN + GENL_HDRLEN)
        return 0;
    const struct nlmsghdr *header = message->msg_iov[0].iov_base;
    const struct genlmsghdr *generic = NLMSG_DATA(header);
    if (header->nlmsg_type < NLMSG_MIN_TYPE || generic->cmd != NBD_CMD_RECONFIGURE)
        return 0;
    const char *at = (const char *)generic + GENL_HDRLEN, *end = (const char *)header + header->nlmsg_len;
    int sizes = 0, sockets = 0;
    while (at + NLA_HDRLEN <= end) {
        const struct nlattr *attribute = (const void *)at;
        int type = attribute->nla_type & NLA_TYPE_MASK;
        if (attribute->nla_len < NLA_HDRLEN)
            return 0;
        sizes += type == NBD_ATTR_SIZE_BYTES;
        sockets += type == NBD_ATTR_SOCKETS;
        at += NLA_ALIGN(attribute->nla_len);
    }
    return sizes == 1 && sockets == 0;
}

static void done(const char *when)
{
    char new[4096], name[4096];
    snprintf(name, sizeof name, "%s.done", getenv("KILL_IN_CALL"));
    snprintf(new, sizeof new, "%s.new", getenv("KILL_IN_CALL"));
    FILE *file = fopen(new, "we");
    if (!file || fprintf(file, "%s\n", when) < 0 || fclose(file) != 0 || rename(new, name) != 0)
        abort();
}

static pid_t daemon_pid;
static void kill_daemon(void)
{
    kill(daemon_pid, SIGKILL);
}
// It is somebody else's child now: all its threads are gone, and its descriptors with them.
static void await_death(void)
{
    while (getppid() == daemon_pid)
        usleep(200);
}

// take MODE: the orders, when they have this first word; they count once.
static int take(char mode[64], const char *word)
{
    const char *path = getenv("KILL_IN_CALL");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return 0;
    ssize_t length = read(file, mode, 63);
    close(file);
    mode[length < 0 ? 0 : length] = 0;
    return !strncmp(mode, word, strlen(word)) && unlink(path) == 0;
}

void *genlmsg_put(void *message, uint32_t port, uint32_t sequence, int family, int length, int flags, uint8_t command,
                  uint8_t version)
{
    static void *(*next)(void *, uint32_t, uint32_t, int, int, int, uint8_t, uint8_t);
    char mode[64];
    if (!next)
        next = dlsym(RTLD_NEXT, "genlmsg_put");
    // Nobody gives this device sockets while the orders stand.
    if (command == NBD_CMD_RECONFIGURE && take(mode, "early")) {
        daemon_pid = getppid();
        kill_daemon();
        await_death();
        done("early");
    }
    return next(message, port, sequence, family, length, flags, command, version);
}

ssize_t sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    static ssize_t (*next)(int, const struct msghdr *, int);
    char mode[64];
    if (!next)
        next = dlsym(RTLD_NEXT, "sendmsg");
    if (!is_resize(message) || !take(mode, ""))
        return next(descriptor, message, flags);

    daemon_pid = getppid();
    if (!strncmp(mode, "within", 6)) {
        // 0 before the call, 1 in it, 2 after it; what it was when the daemon was killed; and whether the killer is
        // there, on another processor, so that it need not be woken.
        atomic_int *where = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        long nanoseconds = atol(mode + 6);
        cpu_set_t here, others;
        int processor = sched_getcpu();
        sched_getaffinity(0, sizeof others, &others);
        CPU_CLR(processor, &others);
        CPU_ZERO(&here);
        CPU_SET(processor, &here);
        pid_t killer = fork();
        if (killer == 0) {
            struct timespec pause = {0, nanoseconds};
            if (sched_setaffinity(0, sizeof others, &others))
                _exit(1);
            atomic_store(&where[2], 1);
            while (!atomic_load(&where[0]))
                ;
            if (nanoseconds)
                nanosleep(&pause, NULL);
            atomic_store(&where[1], atomic_load(&where[0]));
            kill_daemon();
            _exit(0);
        }
        sched_setaffinity(0, sizeof here, &here);
        while (!atomic_load(&where[2]))
            usleep(100);
        atomic_store(&where[0], 1);
        ssize_t sent = next(descriptor, message, flags);
        atomic_store(&where[0], 2);
        waitpid(killer, NULL, 0);
        done(atomic_load(&where[1]) == 1 ? "within" : "after");
        return sent;
    }
    if (!strncmp(mode, "before", 6)) {
        kill_daemon();
        await_death();
        done("before");
        return next(descriptor, message, flags);
    }
    ssize_t sent = next(descriptor, message, flags);
    kill_daemon();
    await_death();
    done("after");
    return sent;
}
