// kernels: envelope crc32c obs
#include "envelope.h"

#include "check.h"
#include "hostile.h"

#define PAYLOAD_SIZE 40
#define RECORD_SIZE (OBS_ENVELOPE_HEADER_BYTES + PAYLOAD_SIZE)

static void fill(uint8_t record[RECORD_SIZE], size_t payload_size)
{
    for (size_t index = 0; index < payload_size; index++)
        record[OBS_ENVELOPE_HEADER_BYTES + index] = (uint8_t)(index * 7);
    CHECK_OK(obs_envelope_put(record, 3, record + OBS_ENVELOPE_HEADER_BYTES, payload_size));
}

static int read_record(const uint8_t *bytes, size_t size)
{
    obs_envelope_t record;
    int status = obs_envelope_get(bytes, size, &record);
    if (status == OBS_OK) {
        CHECK(record.payload == bytes + OBS_ENVELOPE_HEADER_BYTES);
        CHECK(record.payload_size <= size - OBS_ENVELOPE_HEADER_BYTES);
    }
    return status;
}

static void reads_what_was_written(void)
{
    for (size_t payload_size = 0; payload_size <= PAYLOAD_SIZE; payload_size++) {
        uint8_t bytes[RECORD_SIZE] = {0};
        fill(bytes, payload_size);
        obs_envelope_t record;
        CHECK_OK(obs_envelope_get(bytes, sizeof bytes, &record));
        CHECK_EQ(record.payload_size, payload_size);
        CHECK_EQ(record.type, 3);
        CHECK(record.payload == bytes + OBS_ENVELOPE_HEADER_BYTES);
    }
}

/* The layout is part of the formats: size 1, CRC-32C of "\x05" "a", type 5, little-endian. */
static void has_the_documented_layout(void)
{
    uint8_t header[OBS_ENVELOPE_HEADER_BYTES];
    CHECK_OK(obs_envelope_put(header, 5, (const uint8_t *)"a", 1));
    const uint8_t expected[OBS_ENVELOPE_HEADER_BYTES] = {1, 0, 0, 0, 0x18, 0x9e, 0xe4, 0x3f, 5};
    CHECK(memcmp(header, expected, sizeof expected) == 0);
}

static void a_torn_record_is_told_from_a_flipped_one(void)
{
    uint8_t bytes[RECORD_SIZE];
    fill(bytes, PAYLOAD_SIZE);
    for (size_t size = 0; size < RECORD_SIZE; size++)
        CHECK_STATUS(hostile_read_copy(read_record, bytes, size), OBS_ERR_FULL);
    for (size_t bit = 0; bit < RECORD_SIZE * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        int status = hostile_read_copy(read_record, bytes, RECORD_SIZE);
        int size_grew = bit < 32 && (bytes[bit / 8] >> (bit % 8) & 1);
        CHECK_STATUS(status, size_grew ? OBS_ERR_FULL : OBS_ERR_CORRUPT);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    CHECK_OK(hostile_read_copy(read_record, bytes, RECORD_SIZE));
}

static void zeros_are_no_record(void)
{
    const uint8_t zeros[64] = {0};
    CHECK_STATUS(hostile_read_copy(read_record, zeros, sizeof zeros), OBS_ERR_CORRUPT);
}

static void refuses_a_size_that_does_not_fit(void)
{
    uint8_t header[OBS_ENVELOPE_HEADER_BYTES];
    CHECK_STATUS(obs_envelope_put(header, 1, header, (size_t)OBS_ENVELOPE_MAX_PAYLOAD + 1), OBS_ERR_RANGE);
}

int main(void)
{
    RUN(reads_what_was_written);
    RUN(has_the_documented_layout);
    RUN(a_torn_record_is_told_from_a_flipped_one);
    RUN(zeros_are_no_record);
    RUN(refuses_a_size_that_does_not_fit);
    return 0;
}
