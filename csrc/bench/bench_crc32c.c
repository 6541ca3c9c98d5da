// kernels: crc32c
/* A checksum of 64 KiB: the chosen implementation, the tables, the plain loop, and a loop that only reads. */
#include "bench.h"
#include "crc32c.h"

enum { SIZE = 64 << 10, REPEATS = 20, REFERENCE_REPEATS = 2 };

static uint8_t bytes[SIZE];

static void read_only(void *state)
{
    (void)state;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        uint64_t folded = 0;
        for (size_t i = 0; i < SIZE; i += sizeof folded)
            folded ^= obs_load_u64(bytes + i);
        BENCH_KEEP(folded);
    }
}

static void chosen(void *state)
{
    (void)state;
    for (int repeat = 0; repeat < REPEATS; repeat++)
        BENCH_KEEP(obs_crc32c(0, bytes, SIZE));
}

static void portable(void *state)
{
    (void)state;
    for (int repeat = 0; repeat < REPEATS; repeat++)
        BENCH_KEEP(obs_crc32c_portable(0, bytes, SIZE));
}

static void reference(void *state)
{
    (void)state;
    for (int repeat = 0; repeat < REFERENCE_REPEATS; repeat++)
        BENCH_KEEP(obs_crc32c_reference(0, bytes, SIZE));
}

int main(void)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 197 + (i >> 8));
    printf("CRC-32C of 64 KiB\n");
    bench("reading the words", "KiB", (size_t)REPEATS * SIZE / 1024, read_only, NULL);
    bench("obs_crc32c", "KiB", (size_t)REPEATS * SIZE / 1024, chosen, NULL);
    bench("obs_crc32c_portable", "KiB", (size_t)REPEATS * SIZE / 1024, portable, NULL);
    bench("obs_crc32c_reference", "KiB", (size_t)REFERENCE_REPEATS * SIZE / 1024, reference, NULL);
    return 0;
}
