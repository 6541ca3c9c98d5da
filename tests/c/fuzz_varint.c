// kernels: obs
/* Any bytes as numbers, one after another: what is read is what would be written, byte for byte. */
#include "fuzz.h"
#include "varint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cursor = data, *end = data + size;
    while (cursor != end) {
        const uint8_t *begin = cursor;
        uint64_t value = 77;
        if (obs_varint_get(&cursor, end, &value) != OBS_OK) {
            CHECK(cursor == begin && value == 77);
            return 0;
        }
        uint8_t again[OBS_VARINT_MAX_SIZE];
        CHECK(cursor > begin && cursor <= end);
        CHECK_EQ(obs_varint_put(again, value), cursor - begin);
        CHECK_EQ(obs_varint_size(value), cursor - begin);
        CHECK(memcmp(again, begin, (size_t)(cursor - begin)) == 0);
        CHECK(obs_zigzag_encode(obs_zigzag_decode(value)) == value);
    }
    return 0;
}
