// kernels: siphash obs
#include <string.h>

#include "check.h"
#include "siphash.h"

#define TEXTS 64

/* The hashes of the bytes 0, 1, … under the key 0, 1, …, 15, as OpenSSL computes them. */
static const struct {
    size_t size;
    uint8_t hash[16];
} KNOWN[] = {
    {0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14}},
    {1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11}},
    {7, {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6}},
    {8, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64}},
    {15, {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f}},
    {63, {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a}},
};

static uint8_t key[OBS_SIPHASH_KEY_BYTES];
static uint8_t lengths[TEXTS];
static uint8_t *texts; /* memory of exactly their size: AddressSanitizer sees a byte read too far */
static size_t size;

static uint64_t little_endian(const uint8_t *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void make_texts(void)
{
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < TEXTS; i++)
        size += lengths[i] = (uint8_t)i;
    texts = malloc(size);
    CHECK(texts != NULL);
    uint8_t *at = texts;
    for (size_t i = 0; i < TEXTS; i++)
        for (size_t byte = 0; byte < i; byte++)
            *at++ = (uint8_t)byte;
}

static void hashes_are_those_that_are_known(void)
{
    uint64_t hi[TEXTS];
    uint32_t lo[TEXTS];
    CHECK_OK(obs_siphash_texts(key, lengths, TEXTS, texts, size, hi, lo));
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        CHECK_EQ(hi[KNOWN[i].size], little_endian(KNOWN[i].hash, 8));
        CHECK_EQ(lo[KNOWN[i].size], little_endian(KNOWN[i].hash + 8, 4));
    }
}

static void texts_of_other_sizes_than_they_say_are_refused(void)
{
    uint64_t hi[TEXTS] = {7};
    uint32_t lo[TEXTS] = {7};
    CHECK_STATUS(obs_siphash_texts(key, lengths, TEXTS, texts, size - 1, hi, lo), OBS_ERR_RANGE);
    CHECK_STATUS(obs_siphash_texts(key, lengths, TEXTS - 1, texts, size, hi, lo), OBS_ERR_RANGE);
    CHECK(hi[0] == 7 && lo[0] == 7);
    CHECK_OK(obs_siphash_texts(key, lengths, 0, texts, 0, hi, lo));
}

int main(void)
{
    make_texts();
    RUN(hashes_are_those_that_are_known);
    RUN(texts_of_other_sizes_than_they_say_are_refused);
    free(texts);
    return 0;
}
