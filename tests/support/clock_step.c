/* Shifts the wall clock of one process, for tests: preload it with LD_PRELOAD.
 *
 * The shift, in nanoseconds, is the int64 at the start of the file that
 * NETPHONE_CLOCK_STEP_FILE names. The file is mapped, so writing to it steps the clock of
 * a running process. Clocks that only count (CLOCK_MONOTONIC, CLOCK_BOOTTIME) are left
 * alone, as they are when somebody sets the time of a machine.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t second_ns = 1000000000;
static const volatile int64_t *shift_ns;

__attribute__((constructor)) static void map_shift(void)
{
    const char *path = getenv("NETPHONE_CLOCK_STEP_FILE");
    if (path == NULL)
        return;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    void *map = mmap(NULL, sizeof *shift_ns, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED)
        shift_ns = map;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    int is_wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE ||
                  clock == CLOCK_TAI;
    if (failed || !is_wall || shift_ns == NULL)
        return failed;
    int64_t shifted_ns = now->tv_sec * second_ns + now->tv_nsec + *shift_ns;
    now->tv_sec = shifted_ns / second_ns;
    now->tv_nsec = shifted_ns % second_ns;
    return 0;
}

/* The C library declares its pointers as never null; callers do pass null to time(). */

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds)
{
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0)
        return (time_t)-1;
    if (seconds != NULL)
        *seconds = precise.tv_sec;
    return precise.tv_sec;
}
