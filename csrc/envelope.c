#include "envelope.h"

#include "crc32c.h"
#include "obs_port.h"

enum { SIZE_OFFSET = 0, CRC_OFFSET = 4, TYPE_OFFSET = 8 };

static uint32_t record_crc(uint8_t type, const uint8_t *payload, size_t payload_size)
{
    return obs_crc32c(obs_crc32c(0, &type, 1), payload, payload_size);
}

int obs_envelope_put(uint8_t header[OBS_ENVELOPE_HEADER_BYTES], uint8_t type, const uint8_t *payload,
                     size_t payload_size)
{
    if (payload_size > OBS_ENVELOPE_MAX_PAYLOAD)
        return OBS_ERR_RANGE;
    obs_store_u32(header + SIZE_OFFSET, (uint32_t)payload_size);
    obs_store_u32(header + CRC_OFFSET, record_crc(type, payload, payload_size));
    header[TYPE_OFFSET] = type;
    return OBS_OK;
}

int obs_envelope_get(const uint8_t *bytes, size_t size, obs_envelope_t *record)
{
    if (size < OBS_ENVELOPE_HEADER_BYTES)
        return OBS_ERR_FULL;
    size_t payload_size = obs_load_u32(bytes + SIZE_OFFSET);
    if (payload_size > size - OBS_ENVELOPE_HEADER_BYTES)
        return OBS_ERR_FULL;
    const uint8_t *payload = bytes + OBS_ENVELOPE_HEADER_BYTES;
    uint8_t type = bytes[TYPE_OFFSET];
    if (record_crc(type, payload, payload_size) != obs_load_u32(bytes + CRC_OFFSET))
        return OBS_ERR_CORRUPT;
    *record = (obs_envelope_t){.payload = payload, .payload_size = payload_size, .type = type};
    return OBS_OK;
}
