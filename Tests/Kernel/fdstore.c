// fdstore PROGRAM [ARGUMENT…]: the part of a service manager that a planned restart needs.
//
// Starts PROGRAM with NOTIFY_SOCKET, keeps descriptors that it stores (FDSTORE=1, FDNAME=), forgets them when it says
// so (FDSTOREREMOVE=1), answers BARRIER=1, and hands what it keeps to the next start (LISTEN_FDS). SIGHUP: end the
// program with SIGTERM and start it again. SIGTERM: end it, then itself. SIGUSR1: as SIGHUP, but nothing is kept over.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t wants_restart, wants_end, drops;
static void on_signal(int number) {
    if (number == SIGTERM) wants_end = 1;
    if (number == SIGHUP || number == SIGUSR1) wants_restart = 1;
    if (number == SIGUSR1) drops = 1;
}

static struct { int fd; char name[256]; } kept[64];
static int count;

static const char *value(char *text, const char *key, char *out, size_t size) {
    size_t length = strlen(key);
    for (char *line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, key, length)) {
            snprintf(out, size, "%.*s", (int)strcspn(line + length, "\n"), line + length);
            return out;
        }
    return NULL;
}

static void hear(int notify) {
    for (;;) {
        char text[4096], control[256], word[256];
        struct iovec vector = {text, sizeof text - 1};
        struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control,
                                 .msg_controllen = sizeof control};
        ssize_t n = recvmsg(notify, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0) return;
        text[n] = 0;
        int fd = -1;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c && c->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(c), sizeof fd);
        if (value(text, "FDSTORE=", word, sizeof word) && fd >= 0 && count < 64) {
            if (!value(text, "FDNAME=", word, sizeof word)) strcpy(word, "stored");
            kept[count].fd = fd;
            snprintf(kept[count++].name, sizeof kept[0].name, "%s", word);
            fprintf(stderr, "fdstore: keeps %s\n", word);
        } else if (value(text, "FDSTOREREMOVE=", word, sizeof word)) {
            if (value(text, "FDNAME=", word, sizeof word)) {
                for (int i = 0; i < count;)
                    if (!strcmp(kept[i].name, word)) {
                        close(kept[i].fd);
                        kept[i] = kept[--count];
                    } else i++;
            }
            fprintf(stderr, "fdstore: drops %s\n", word);
        } else if (fd >= 0) {
            close(fd);  // BARRIER=1
        }
    }
}

static pid_t start(char **arguments) {
    pid_t pid = fork();
    if (pid) return pid;
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    if (count) {
        char names[8192] = "", number[32];
        // First out of the way, then to 3, 4, ….
        int moved[64];
        for (int i = 0; i < count; i++) moved[i] = fcntl(kept[i].fd, F_DUPFD, 200);
        for (int i = 0; i < count; i++) {
            dup2(moved[i], 3 + i);
            close(moved[i]);
            if (i) strcat(names, ":");
            strcat(names, kept[i].name);
        }
        snprintf(number, sizeof number, "%d", count);
        setenv("LISTEN_FDS", number, 1);
        setenv("LISTEN_FDNAMES", names, 1);
        snprintf(number, sizeof number, "%d", (int)getpid());
        setenv("LISTEN_PID", number, 1);
    }
    execv(arguments[0], arguments);
    _exit(127);
}

int main(int argc, char **argv) {
    if (argc < 2) return 64;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/fdstore.%d", (int)getpid());
    int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (notify < 0 || bind(notify, (struct sockaddr *)&address, sizeof address)) return perror("fdstore"), 1;
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    pid_t pid = start(argv + 1);
    for (;;) {
        struct pollfd polled = {notify, POLLIN, 0};
        poll(&polled, 1, 20);
        hear(notify);
        int status, drop = drops;
        if (wants_end || wants_restart) {
            kill(pid, SIGTERM);
            while (waitpid(pid, &status, WNOHANG) == 0) {
                poll(&polled, 1, 5);
                hear(notify);
            }
            hear(notify);
            if (wants_end) break;
            if (drop)
                while (count) close(kept[--count].fd);
            wants_restart = drops = 0;
            pid = start(argv + 1);
        } else if (waitpid(pid, &status, WNOHANG) == pid) {
            fprintf(stderr, "fdstore: the program ended with status %x\n", status);
            break;
        }
    }
    unlink(address.sun_path);
    return 0;
}
