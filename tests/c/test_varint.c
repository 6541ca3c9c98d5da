// kernels: obs
#include <string.h>

#include "check.h"
#include "varint.h"

static int get(const uint8_t *bytes, size_t size, uint64_t *value, size_t *used)
{
    const uint8_t *cursor = bytes;
    int status = obs_varint_get(&cursor, bytes + size, value);
    *used = (size_t)(cursor - bytes);
    return status;
}

static void round_trip(uint64_t value)
{
    uint8_t bytes[OBS_VARINT_MAX_SIZE];
    size_t size = obs_varint_put(bytes, value), used;
    uint64_t found = ~value;
    CHECK_EQ(size, obs_varint_size(value));
    CHECK_OK(get(bytes, size, &found, &used));
    CHECK(found == value && used == size);
    for (size_t shorter = 0; shorter < size; shorter++) {
        CHECK_STATUS(get(bytes, shorter, &found, &used), OBS_ERR_CORRUPT);
        CHECK_EQ(used, 0);
    }
}

static void every_length_round_trips(void)
{
    round_trip(0);
    for (int bit = 0; bit < 64; bit++) {
        round_trip(UINT64_C(1) << bit);
        round_trip((UINT64_C(1) << bit) - 1);
        round_trip(UINT64_MAX - (UINT64_C(1) << bit));
    }
    CHECK_EQ(obs_varint_size(127), 1);
    CHECK_EQ(obs_varint_size(128), 2);
    CHECK_EQ(obs_varint_size(UINT64_MAX), 10);
}

static void other_spellings_are_refused(void)
{
    uint64_t value = 7;
    size_t used;
    const uint8_t overlong_zero[] = {0x80, 0x00};
    const uint8_t overlong_one[] = {0x81, 0x80, 0x00};
    const uint8_t bit_64[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    const uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01};
    CHECK_STATUS(get(overlong_zero, sizeof overlong_zero, &value, &used), OBS_ERR_CORRUPT);
    CHECK_STATUS(get(overlong_one, sizeof overlong_one, &value, &used), OBS_ERR_CORRUPT);
    CHECK_STATUS(get(bit_64, sizeof bit_64, &value, &used), OBS_ERR_CORRUPT);
    CHECK_STATUS(get(eleven, sizeof eleven, &value, &used), OBS_ERR_CORRUPT);
    CHECK_EQ(value, 7);
}

static void zigzag_keeps_magnitudes_small(void)
{
    const int64_t values[] = {0, -1, 1, -2, 2};
    for (uint64_t i = 0; i < 5; i++)
        CHECK_EQ(obs_zigzag_encode(values[i]), i);
    CHECK(obs_zigzag_encode(INT64_MIN) == UINT64_MAX);
    CHECK(obs_zigzag_encode(INT64_MAX) == UINT64_MAX - 1);
    uint64_t state = 1;
    for (int i = 0; i < 10000; i++) {
        int64_t value = (int64_t)(check_random(&state) >> (i % 64));
        CHECK_EQ(obs_zigzag_decode(obs_zigzag_encode(value)), value);
        CHECK_EQ(obs_zigzag_decode(obs_zigzag_encode(-value)), -value);
    }
}

int main(void)
{
    RUN(every_length_round_trips);
    RUN(other_spellings_are_refused);
    RUN(zigzag_keeps_magnitudes_small);
    return 0;
}
