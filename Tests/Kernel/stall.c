// stall DEVICE [DEVICE…]: what an application feels when a path fails, and how soon a path is used again.
//
// One thread writes and one reads blocks of 4 KiB of the first device, O_DIRECT, one after the other; one thread
// each writes such a block to the other devices every 200 ms. What is asked on standard input, a line each, is
// answered on standard output:
//
// begin                        measure from now on; no answer
// end                          every thread goes on until it has completed an I/O, and one second more; answer:
//                              write MS AT read MS AT others MS ops N errors N
//                              MS is the longest time without a completed I/O of that thread since `begin` (of
//                              the others, the longest that one I/O took), AT when it began (seconds since 1970)
// used INTERFACE SINCE LIMIT   waits until 64 KiB more have left through the interface, more than a login needs;
//                              answer: milliseconds since SINCE (seconds since 1970), `never` after LIMIT seconds
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

struct worker {
    pthread_t thread;
    int writes, device;
    useconds_t pause;      // between two I/Os
    unsigned seed;
    uint64_t blocks;
    int begun;             // the measurement that it takes part in
    double longest, at, end;
    long operations, errors;
    atomic_int ended;      // the last measurement that it has ended
};

#define MOST 256
static struct worker workers[MOST]; // the first device's writer and reader, then the others' writers
static int worker_count;
static atomic_int begun, ending; // measurements, counted from 1

// The I/O that began at `last` has completed.
static void account(struct worker *me, double last, double time, int failed)
{
    if (atomic_load(&me->ended) == me->begun)
        return;
    me->operations++;
    me->errors += failed;
    if (time - last > me->longest) {
        me->longest = time - last;
        me->at = last;
    }
    if (me->end == 0 && atomic_load(&ending) == me->begun)
        me->end = time + 1;
    if (me->end != 0 && time >= me->end)
        atomic_store(&me->ended, me->begun);
}

static void *work(void *argument)
{
    struct worker *me = argument;
    void *buffer;
    double last;

    if (posix_memalign(&buffer, BLOCK, BLOCK) != 0)
        exit(2);
    memset(buffer, me->writes ? 0x5a : 0, BLOCK);
    last = now();
    for (;;) {
        off_t offset = (off_t)(rand_r(&me->seed) % me->blocks) * BLOCK;
        ssize_t count = me->writes ? pwrite(me->device, buffer, BLOCK, offset)
                                   : pread(me->device, buffer, BLOCK, offset);
        double time = now();
        int failed = count != BLOCK;
        account(me, last, time, failed);
        if (failed) {
            if (me->errors == 1)
                fprintf(stderr, "%.3f %s: %s\n", time, me->writes ? "write" : "read", strerror(errno));
            usleep(50000);
        }
        last = time;
        if (me->pause) {
            usleep(me->pause);
            last = now();
        }
        if (me->begun != atomic_load(&begun)) {
            me->begun = atomic_load(&begun);
            me->longest = me->at = me->end = 0;
            me->operations = me->errors = 0;
        }
    }
    return NULL;
}

static void start(const char *path, int writes, useconds_t pause)
{
    struct worker *me = &workers[worker_count++];
    uint64_t size;

    *me = (struct worker){.writes = writes, .pause = pause, .seed = worker_count};
    me->device = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
    if (me->device < 0 || ioctl(me->device, BLKGETSIZE64, &size) != 0 || size < BLOCK) {
        perror(path);
        exit(2);
    }
    me->blocks = size / BLOCK;
    if (pthread_create(&me->thread, NULL, work, me) != 0)
        exit(2);
}

static void end(void)
{
    int number = atomic_load(&begun), i;
    double others = 0;
    long operations = 0, errors = 0;

    atomic_store(&ending, number);
    for (i = 0; i < worker_count; i++) {
        while (atomic_load(&workers[i].ended) != number)
            usleep(10000);
        operations += workers[i].operations;
        errors += workers[i].errors;
        if (i > 1 && workers[i].longest > others)
            others = workers[i].longest;
    }
    printf("write %.0f %.3f read %.0f %.3f others %.0f ops %ld errors %ld\n", workers[0].longest * 1e3,
           workers[0].at, workers[1].longest * 1e3, workers[1].at, others * 1e3, operations, errors);
}

static long long sent(const char *interface)
{
    char path[256];
    long long bytes = -1;
    FILE *file;

    snprintf(path, sizeof path, "/sys/class/net/%s/statistics/tx_bytes", interface);
    file = fopen(path, "r");
    if (!file || fscanf(file, "%lld", &bytes) != 1)
        bytes = -1;
    if (file)
        fclose(file);
    return bytes;
}

static void used(const char *interface, double since, double limit)
{
    long long before = sent(interface);

    while (sent(interface) < before + 65536) {
        if (before < 0 || now() > since + limit) {
            printf("never\n");
            return;
        }
        usleep(2000);
    }
    printf("%.0f\n", (now() - since) * 1e3);
}

int main(int count, char **arguments)
{
    char line[256], interface[64];
    double since, limit;
    int i;

    if (count < 2 || count >= MOST) {
        fprintf(stderr, "usage: stall DEVICE [DEVICE...]\n");
        return 2;
    }
    start(arguments[1], 1, 0);
    start(arguments[1], 0, 0);
    for (i = 2; i < count; i++)
        start(arguments[i], 1, 200000);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "begin\n") == 0)
            atomic_fetch_add(&begun, 1);
        else if (strcmp(line, "end\n") == 0)
            end();
        else if (sscanf(line, "used %63s %lf %lf", interface, &since, &limit) == 3)
            used(interface, since, limit);
        else
            fprintf(stderr, "stall: not understood: %s", line);
        fflush(stdout);
    }
    return 0;
}
