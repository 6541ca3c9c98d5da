// kernels: crc32c
#include <string.h>

#include "check.h"
#include "crc32c.h"

typedef uint32_t (*crc_t)(uint32_t crc, const void *bytes, size_t size);

static const crc_t IMPLEMENTATIONS[] = {obs_crc32c, obs_crc32c_portable, obs_crc32c_reference};

/* RFC 3720, B.4, and the catalogue's check value. */
static void published_vectors(void)
{
    uint8_t zeros[32], ones[32], ascending[32], descending[32];
    memset(zeros, 0, sizeof zeros);
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        ascending[i] = (uint8_t)i;
        descending[i] = (uint8_t)(31 - i);
    }
    static const uint8_t read_command[48] = {
        [0] = 0x01, [1] = 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    for (int i = 0; i < 3; i++) {
        crc_t crc = IMPLEMENTATIONS[i];
        CHECK_EQ(crc(0, "123456789", 9), 0xe3069283u);
        CHECK_EQ(crc(0, zeros, 32), 0x8a9136aau);
        CHECK_EQ(crc(0, ones, 32), 0x62a8ab43u);
        CHECK_EQ(crc(0, ascending, 32), 0x46dd794eu);
        CHECK_EQ(crc(0, descending, 32), 0x113fdb5cu);
        CHECK_EQ(crc(0, read_command, 48), 0xd9963a56u);
        CHECK_EQ(crc(0, "", 0), 0);
        CHECK_EQ(crc(0x12345678u, "", 0), 0x12345678u);
    }
}

/* Every size up to a few words, every alignment, every cut. */
static void all_agree_and_chain(void)
{
    uint8_t bytes[80];
    uint64_t state = 32;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)check_random(&state);
    for (size_t offset = 0; offset < 8; offset++)
        for (size_t size = 0; size + offset <= sizeof bytes; size++) {
            uint32_t expected = obs_crc32c_reference(0, bytes + offset, size);
            CHECK_EQ(obs_crc32c(0, bytes + offset, size), expected);
            CHECK_EQ(obs_crc32c_portable(0, bytes + offset, size), expected);
            size_t cut = size == 0 ? 0 : check_random(&state) % size;
            uint32_t head = obs_crc32c(0, bytes + offset, cut);
            CHECK_EQ(obs_crc32c(head, bytes + offset + cut, size - cut), expected);
            CHECK_EQ(obs_crc32c_portable(head, bytes + offset + cut, size - cut), expected);
            CHECK_EQ(obs_crc32c_reference(head, bytes + offset + cut, size - cut), expected);
        }
}

int main(void)
{
    RUN(published_vectors);
    RUN(all_agree_and_chain);
    return 0;
}
