/* fuzz.h: what a fuzz target is. Each fuzz_NAME.c says what must hold for any bytes at all, once:
 *
 *   make -C csrc fuzz     with clang: libFuzzer looks for bytes for which it does not hold
 *   make -C csrc check    with any compiler: replay.c gives it the files of ../tests/fuzz/corpus/NAME, every prefix of
 *                         them and flipped copies, in memory of exactly their size
 */
#ifndef OBS_FUZZ_H
#define OBS_FUZZ_H

#include <string.h>

#include "check.h"

/* Always 0: no input is kept out of the corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A status that hostile bytes may lead to. */
static inline void fuzz_check_status(int status)
{
    if (status != OBS_ERR_VERSION)
        CHECK_STATUS(status, OBS_ERR_CORRUPT);
}

/* left + right, or UINT64_MAX if that is more than 64 bits hold. */
static inline uint64_t fuzz_add(uint64_t left, uint64_t right)
{
    return right > UINT64_MAX - left ? UINT64_MAX : left + right;
}

#endif
