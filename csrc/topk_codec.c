/* topk_codec.c: the compact form.
 *
 *     topk  := k, total, other, subtracted, entry_count (varints), entry*      entry_count <= 2k
 *     entry := key_size (varint), key (bytes), count (varint, not 0)
 *
 * Entries ascend by key, bytewise and a prefix first: there is one way to write a summary. What was lost, total - other
 * - the counts, is at least (k + 1) * subtracted, and 0 if that is.
 */
#include "hash.h"
#include "obs_alloc.h"
#include "obs_port.h"
#include "topk.h"
#include "varint.h"

#define HEADER_MAX_SIZE (5 * OBS_VARINT_MAX_SIZE)
#define ENTRY_EXTRA_SIZE (2 + OBS_VARINT_MAX_SIZE)
#define ENTRY_MIN_SIZE 2

size_t obs_topk_encoded_bound(const obs_topk_t *topk)
{
    return HEADER_MAX_SIZE + topk->entry_count * ENTRY_EXTRA_SIZE + topk->key_bytes;
}

static int compare_items(const void *left, const void *right)
{
    return obs_topk_compare_keys(left, right);
}

int obs_topk_encode(const obs_topk_t *topk, uint8_t *out, size_t capacity, size_t *size)
{
    obs_topk_item_t items[2 * OBS_TOPK_MAX_K];
    if (capacity < obs_topk_encoded_bound(topk))
        return OBS_ERR_FULL;
    for (uint32_t i = 0; i < topk->entry_count; i++) {
        const obs_topk_entry_t *entry = &topk->entries[i];
        items[i] = (obs_topk_item_t){topk->keys + entry->key_at, entry->key_size, entry->count};
    }
    if (topk->entry_count > 0)
        qsort(items, topk->entry_count, sizeof *items, compare_items);
    uint8_t *at = out;
    at += obs_varint_put(at, topk->k);
    at += obs_varint_put(at, topk->total);
    at += obs_varint_put(at, topk->other);
    at += obs_varint_put(at, topk->subtracted);
    at += obs_varint_put(at, topk->entry_count);
    for (uint32_t i = 0; i < topk->entry_count; i++) {
        at += obs_varint_put(at, items[i].key_size);
        if (items[i].key_size > 0)
            memcpy(at, items[i].key, items[i].key_size);
        at += items[i].key_size;
        at += obs_varint_put(at, items[i].count);
    }
    *size = (size_t)(at - out);
    return OBS_OK;
}

static int read_header(const uint8_t **cursor, const uint8_t *end, obs_topk_t *header)
{
    uint64_t k, entry_count;
    if (obs_varint_get(cursor, end, &k) != OBS_OK || k > OBS_TOPK_MAX_K ||
        obs_topk_init(header, (uint32_t)k) != OBS_OK || obs_varint_get(cursor, end, &header->total) != OBS_OK ||
        obs_varint_get(cursor, end, &header->other) != OBS_OK ||
        obs_varint_get(cursor, end, &header->subtracted) != OBS_OK ||
        obs_varint_get(cursor, end, &entry_count) != OBS_OK)
        return OBS_ERR_CORRUPT;
    if (header->other > header->total || entry_count > 2 * k || entry_count > (size_t)(end - *cursor) / ENTRY_MIN_SIZE)
        return OBS_ERR_CORRUPT;
    header->entry_count = (uint32_t)entry_count;
    return OBS_OK;
}

static int read_entry(const uint8_t **cursor, const uint8_t *end, obs_topk_item_t *item)
{
    uint64_t key_size;
    if (obs_varint_get(cursor, end, &key_size) != OBS_OK || key_size > OBS_TOPK_KEY_MAX ||
        key_size > (size_t)(end - *cursor))
        return OBS_ERR_CORRUPT;
    item->key = *cursor;
    item->key_size = (size_t)key_size;
    *cursor += key_size;
    if (obs_varint_get(cursor, end, &item->count) != OBS_OK || item->count == 0)
        return OBS_ERR_CORRUPT;
    return OBS_OK;
}

/* The entries ascend, and what they do not count is what the header says was lost. */
static int check_entries(const uint8_t *cursor, const uint8_t *end, const obs_topk_t *header)
{
    uint64_t left = header->total - header->other;
    obs_topk_item_t item, before = {0};
    for (uint32_t i = 0; i < header->entry_count; i++, before = item) {
        if (read_entry(&cursor, end, &item) != OBS_OK || item.count > left ||
            (i > 0 && obs_topk_compare_keys(&before, &item) >= 0))
            return OBS_ERR_CORRUPT;
        left -= item.count;
    }
    if (cursor != end || header->subtracted > left / (header->k + 1) || (header->subtracted == 0 && left > 0))
        return OBS_ERR_CORRUPT;
    return OBS_OK;
}

int obs_topk_check(const uint8_t *bytes, size_t size, uint64_t *samples)
{
    obs_topk_t header;
    const uint8_t *end = bytes + size;
    int status = read_header(&bytes, end, &header);
    if (status == OBS_OK)
        status = check_entries(bytes, end, &header);
    if (status == OBS_OK && samples != NULL)
        *samples = header.total;
    return status;
}

/* Adds checked entries; into has no key of theirs. */
static int take_entries(obs_topk_t *into, const uint8_t *cursor, const uint8_t *end, uint32_t entry_count)
{
    obs_topk_item_t item;
    for (uint32_t i = 0; i < entry_count; i++) {
        int status = read_entry(&cursor, end, &item);
        if (status == OBS_OK)
            status = obs_topk_add(into, item.key, item.key_size, item.count);
        if (status != OBS_OK)
            return status;
    }
    return OBS_OK;
}

int obs_topk_decode(const uint8_t *bytes, size_t size, obs_topk_t *out)
{
    obs_topk_t header, topk;
    const uint8_t *end = bytes + size;
    int status = obs_topk_check(bytes, size, NULL);
    if (status == OBS_OK)
        status = read_header(&bytes, end, &header);
    if (status == OBS_OK)
        status = obs_topk_init(&topk, header.k);
    if (status != OBS_OK)
        return status;
    status = take_entries(&topk, bytes, end, header.entry_count);
    if (status != OBS_OK) {
        obs_topk_free(&topk);
        return status;
    }
    topk.total = header.total;
    topk.other = header.other;
    topk.subtracted = header.subtracted;
    *out = topk;
    return OBS_OK;
}

int obs_topk_merge_encoded(obs_topk_t *into, const uint8_t *bytes, size_t size)
{
    obs_topk_t from;
    int status = obs_topk_decode(bytes, size, &from);
    if (status != OBS_OK)
        return status;
    status = obs_topk_merge(into, &from);
    obs_topk_free(&from);
    return status;
}
