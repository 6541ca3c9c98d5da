#include "siphash.h"

#include "obs_port.h"

#define WORD_BYTES sizeof(uint64_t)

typedef struct {
    uint64_t v0, v1, v2, v3;
} state_t;

static inline uint64_t rotated(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void mix(state_t *state, unsigned rounds)
{
    for (; rounds > 0; rounds--) {
        state->v0 += state->v1;
        state->v1 = rotated(state->v1, 13) ^ state->v0;
        state->v0 = rotated(state->v0, 32);
        state->v2 += state->v3;
        state->v3 = rotated(state->v3, 16) ^ state->v2;
        state->v0 += state->v3;
        state->v3 = rotated(state->v3, 21) ^ state->v0;
        state->v2 += state->v1;
        state->v1 = rotated(state->v1, 17) ^ state->v2;
        state->v2 = rotated(state->v2, 32);
    }
}

static inline void take_in(state_t *state, uint64_t word)
{
    state->v3 ^= word;
    mix(state, 2);
    state->v0 ^= word;
}

/* What is left of a text behind its whole words, filled up with zeros, and the text's length in the highest byte. */
static inline uint64_t last_word(const uint8_t *rest, size_t rest_size, size_t size)
{
    uint64_t word = (uint64_t)size << 56;
    for (size_t i = 0; i < rest_size; i++)
        word |= (uint64_t)rest[i] << (8 * i);
    return word;
}

void obs_siphash(const uint8_t key[OBS_SIPHASH_KEY_BYTES], const uint8_t *text, size_t size, uint64_t *first,
                 uint64_t *second)
{
    const uint64_t k0 = obs_load_u64(key), k1 = obs_load_u64(key + WORD_BYTES);
    state_t state = {
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = size / WORD_BYTES * WORD_BYTES;
    for (size_t at = 0; at < whole; at += WORD_BYTES)
        take_in(&state, obs_load_u64(text + at));
    take_in(&state, last_word(text + whole, size - whole, size));
    state.v2 ^= 0xee;
    mix(&state, 4);
    *first = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
    state.v1 ^= 0xdd;
    mix(&state, 4);
    *second = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

int obs_siphash_texts(const uint8_t key[OBS_SIPHASH_KEY_BYTES], const uint8_t *lengths, size_t count,
                      const uint8_t *texts, size_t size, uint64_t *hi, uint32_t *lo)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += lengths[i];
    if (total != size)
        return OBS_ERR_RANGE;
    for (size_t i = 0; i < count; i++) {
        uint64_t second;
        obs_siphash(key, texts, lengths[i], &hi[i], &second);
        lo[i] = (uint32_t)second;
        texts += lengths[i];
    }
    return OBS_OK;
}
