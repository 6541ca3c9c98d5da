// kernels: envelope crc32c obs
/* Any bytes as records of a journal: a record lies inside of them, and its header is the one that would be written. */
#include "envelope.h"
#include "fuzz.h"
#include "obs_port.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    while (size > 0) {
        obs_envelope_t record;
        int status = obs_envelope_get(data, size, &record);
        if (status != OBS_OK) {
            CHECK(status == OBS_ERR_FULL || status == OBS_ERR_CORRUPT);
            return 0;
        }
        uint8_t header[OBS_ENVELOPE_HEADER_BYTES];
        CHECK(record.payload == data + sizeof header);
        CHECK(record.payload_size <= size - sizeof header);
        CHECK_OK(obs_envelope_put(header, record.type, record.payload, record.payload_size));
        CHECK(memcmp(header, data, sizeof header) == 0);
        data += sizeof header + record.payload_size;
        size -= sizeof header + record.payload_size;
    }
    return 0;
}

#ifdef OBS_FUZZER
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Changes bytes, and then most often gives the first record its right size and checksum: no fuzzer guesses those. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 4 == 0 || size < OBS_ENVELOPE_HEADER_BYTES)
        return size;
    size_t payload_size = obs_load_u32(data), most = size - OBS_ENVELOPE_HEADER_BYTES;
    if (payload_size > most)
        payload_size = most;
    CHECK_OK(obs_envelope_put(data, data[8], data + OBS_ENVELOPE_HEADER_BYTES, payload_size));
    return size;
}
#endif
