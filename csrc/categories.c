#include "categories.h"

#include "obs_alloc.h"

void obs_categories_init(obs_categories_t *categories)
{
    *categories = (obs_categories_t){0};
}

void obs_categories_free(obs_categories_t *categories)
{
    for (uint32_t code = 0; code < categories->count; code++)
        obs_free((void *)obs_categories_at(categories, code)->key);
    for (size_t piece = 0; piece < OBS_CATEGORIES_MAX / OBS_CATEGORIES_PIECE; piece++)
        obs_free(categories->pieces[piece]);
    obs_categories_init(categories);
}

/* The bin of the next code. */
static uint32_t next_bin(const obs_categories_t *categories)
{
    if (categories->bin_count == 0)
        return 0;
    return categories->count < categories->bin_count - 1 ? categories->count : categories->bin_count - 1;
}

int obs_categories_add(obs_categories_t *categories, const void *key, size_t key_size, uint32_t *code)
{
    if (key_size > OBS_TOPK_KEY_MAX)
        return OBS_ERR_RANGE;
    if (categories->count == OBS_CATEGORIES_MAX)
        return OBS_ERR_FULL;
    obs_category_t **piece = &categories->pieces[categories->count / OBS_CATEGORIES_PIECE];
    if (*piece == NULL)
        *piece = obs_calloc(OBS_CATEGORIES_PIECE, sizeof **piece);
    uint8_t *copy = *piece == NULL ? NULL : obs_malloc(key_size + 1); /* an empty key, too, has an address */
    if (copy == NULL)
        return OBS_ERR_NOMEM;
    memcpy(copy, key, key_size);
    (*piece)[categories->count % OBS_CATEGORIES_PIECE] = (obs_category_t){.key = copy,
                                                                          .key_size = (uint32_t)key_size,
                                                                          .bin = next_bin(categories),
                                                                          .hash = obs_hash_bytes(key, key_size)};
    *code = categories->count++;
    return OBS_OK;
}
