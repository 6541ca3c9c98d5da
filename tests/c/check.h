/* check.h: assertions for the C tests. A failed check says where and ends the program with status 1.
 *
 *   CHECK(condition)          CHECK_OK(status)          CHECK_STATUS(status, expected)
 *   CHECK_EQ(left, right)     integers                  CHECK_NEAR(left, right, relative)   doubles
 *   RUN(function)             calls a test and names it in the log
 */
#ifndef OBS_CHECK_H
#define OBS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "obs.h"

#define CHECK_FAILED(...)                                                                                              \
    do {                                                                                                               \
        printf("%s:%d: ", __FILE__, __LINE__);                                                                         \
        printf(__VA_ARGS__);                                                                                           \
        printf("\n");                                                                                                  \
        fflush(stdout);                                                                                                \
        exit(1);                                                                                                       \
    } while (0)

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            CHECK_FAILED("not true: %s", #condition);                                                                  \
    } while (0)

#define CHECK_EQ(left, right)                                                                                          \
    do {                                                                                                               \
        int64_t check_left = (int64_t)(left), check_right = (int64_t)(right);                                          \
        if (check_left != check_right)                                                                                 \
            CHECK_FAILED("%s is %" PRId64 ", %s is %" PRId64, #left, check_left, #right, check_right);                 \
    } while (0)

#define CHECK_STATUS(status, expected)                                                                                 \
    do {                                                                                                               \
        int check_status = (status), check_expected = (expected);                                                      \
        if (check_status != check_expected)                                                                            \
            CHECK_FAILED("%s: %s, expected %s", #status, obs_strerror(check_status), obs_strerror(check_expected));    \
    } while (0)

#define CHECK_OK(status) CHECK_STATUS(status, OBS_OK)

#define CHECK_NEAR(left, right, relative)                                                                              \
    do {                                                                                                               \
        double check_left = (left), check_right = (right);                                                             \
        double check_gap = check_left - check_right, check_size = check_right < 0 ? -check_right : check_right;        \
        if (!((check_gap < 0 ? -check_gap : check_gap) <= (relative) * check_size))                                    \
            CHECK_FAILED("%s is %.17g, %s is %.17g", #left, check_left, #right, check_right);                          \
    } while (0)

#define RUN(function)                                                                                                  \
    do {                                                                                                               \
        printf("%s\n", #function);                                                                                     \
        fflush(stdout);                                                                                                \
        function();                                                                                                    \
    } while (0)

/* splitmix64: the tests' only source of chance, so that every run is the same run. */
static inline uint64_t check_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In [0, 1). */
static inline double check_random_unit(uint64_t *state)
{
    return (double)(check_random(state) >> 11) * 0x1p-53;
}

#endif
