/* envelope.h: the frame around every record of a journal and of a segment.
 *
 *     record := u32 size, u32 crc, u8 type, payload          little-endian
 *     size   := bytes of payload
 *     crc    := crc32c(type, payload)
 *
 * The checksum covers the type, so that a record cannot turn into another kind unnoticed; a flipped
 * size shows because other bytes are then summed. A run of zero bytes, as a file system may leave it
 * after a power loss, is no record: crc32c of one zero byte is not zero.
 */
#ifndef OBS_ENVELOPE_H
#define OBS_ENVELOPE_H

#include "obs.h"

#define OBS_ENVELOPE_HEADER_BYTES 9
#define OBS_ENVELOPE_MAX_PAYLOAD 0xffffffffu

typedef struct {
    const uint8_t *payload; /* into the bytes given */
    size_t payload_size;
    uint8_t type;
} obs_envelope_t;

/* Writes the header that goes before payload. OBS_ERR_RANGE if payload_size does not fit. */
OBS_MUST_CHECK int obs_envelope_put(uint8_t header[OBS_ENVELOPE_HEADER_BYTES], uint8_t type, const uint8_t *payload,
                                    size_t payload_size);
/* Reads the record at the start of bytes; it takes OBS_ENVELOPE_HEADER_BYTES + payload_size of them.
 * OBS_ERR_FULL: the record goes beyond the bytes there are (torn, or its size is wrong);
 * OBS_ERR_CORRUPT: the checksum does not fit. */
OBS_MUST_CHECK int obs_envelope_get(const uint8_t *bytes, size_t size, obs_envelope_t *record);

#endif
