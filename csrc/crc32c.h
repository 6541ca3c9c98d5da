/* crc32c.h: CRC-32C (Castagnoli), the checksum of every record, block and public byte form.
 *
 * Reflected polynomial 0x82f63b78, initial value and final exclusive or of all ones (RFC 3720, B.4):
 * the checksum of "123456789" is 0xe3069283. The Castagnoli polynomial finds every burst of up to 32
 * bits and, up to 5,243 bits, every error of up to five bits; processors compute it natively.
 *
 * Checksums chain: obs_crc32c(obs_crc32c(0, a), b) is the checksum of a followed by b.
 */
#ifndef OBS_CRC32C_H
#define OBS_CRC32C_H

#include "obs.h"

/* crc is 0, or the checksum of the bytes before. Chooses at run time: the processor's own instruction
 * where there is one (x86-64 with SSE 4.2), the tables otherwise. */
uint32_t obs_crc32c(uint32_t crc, const void *bytes, size_t size);
/* The tables: slicing-by-8, on any processor. */
uint32_t obs_crc32c_portable(uint32_t crc, const void *bytes, size_t size);
/* The plain loop over bits that the others must equal: the named reference for tests and benchmarks. */
uint32_t obs_crc32c_reference(uint32_t crc, const void *bytes, size_t size);

#endif
