#include "topk.h"

#include "hash.h"
#include "obs_alloc.h"
#include "obs_port.h"
#include "radix_sort.h"

enum {
    FIRST_ENTRIES = 16,
    FIRST_KEY_BYTES = 256,
    ENTRIES_MAX = 4 * OBS_TOPK_MAX_K, /* two full summaries while they merge */
};

int obs_topk_init(obs_topk_t *topk, uint32_t k)
{
    if (k < OBS_TOPK_MIN_K || k > OBS_TOPK_MAX_K)
        return OBS_ERR_RANGE;
    *topk = (obs_topk_t){.k = k};
    return OBS_OK;
}

void obs_topk_free(obs_topk_t *topk)
{
    obs_free(topk->slots);
    obs_free(topk->entries);
    obs_free(topk->keys);
    *topk = (obs_topk_t){.k = topk->k};
}

static void clear_slots(obs_topk_t *topk)
{
    if (topk->slots != NULL)
        memset(topk->slots, 0, topk->slot_count * sizeof *topk->slots);
}

void obs_topk_reset(obs_topk_t *topk)
{
    topk->total = topk->other = topk->subtracted = 0;
    topk->entry_count = topk->key_bytes = 0;
    clear_slots(topk);
}

/* ---- Memory -------------------------------------------------------------------------------------- */

static uint16_t *free_slot(obs_topk_t *topk, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (topk->slot_count - 1);
    while (topk->slots[at] != 0)
        at = (at + 1) & (topk->slot_count - 1);
    return &topk->slots[at];
}

static void fill_slots(obs_topk_t *topk)
{
    clear_slots(topk);
    for (uint32_t i = 0; i < topk->entry_count; i++)
        *free_slot(topk, topk->entries[i].hash) = (uint16_t)(i + 1);
}

static int widen_slots(obs_topk_t *topk, uint32_t entry_capacity)
{
    uint32_t slot_count = 2 * FIRST_ENTRIES;
    while (slot_count < 2 * entry_capacity)
        slot_count *= 2;
    if (slot_count <= topk->slot_count)
        return OBS_OK;
    uint16_t *slots = obs_malloc(slot_count * sizeof *slots);
    if (slots == NULL)
        return OBS_ERR_NOMEM;
    obs_free(topk->slots);
    topk->slots = slots;
    topk->slot_count = slot_count;
    fill_slots(topk);
    return OBS_OK;
}

static int widen_entries(obs_topk_t *topk, uint32_t needed)
{
    if (needed <= topk->entry_capacity)
        return OBS_OK;
    uint32_t capacity = topk->entry_capacity == 0 ? FIRST_ENTRIES : topk->entry_capacity;
    while (capacity < needed)
        capacity *= 2;
    uint32_t most = 2 * topk->k + 1; /* where doubling would give what is never used */
    capacity = capacity > most && needed <= most ? most : capacity;
    obs_topk_entry_t *entries = obs_realloc(topk->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return OBS_ERR_NOMEM;
    topk->entries = entries;
    topk->entry_capacity = capacity;
    return OBS_OK;
}

static int widen_keys(obs_topk_t *topk, size_t needed)
{
    if (needed <= topk->key_capacity && topk->keys != NULL)
        return OBS_OK;
    size_t capacity = topk->key_capacity == 0 ? FIRST_KEY_BYTES : topk->key_capacity;
    while (capacity < needed)
        capacity *= 2;
    uint8_t *keys = obs_realloc(topk->keys, capacity);
    if (keys == NULL)
        return OBS_ERR_NOMEM;
    topk->keys = keys;
    topk->key_capacity = (uint32_t)capacity;
    return OBS_OK;
}

/* Room for so many more entries with so many bytes of keys. On failure nothing that counts has changed. */
static int reserve(obs_topk_t *topk, uint32_t extra_entries, size_t extra_key_bytes)
{
    uint32_t needed = topk->entry_count + extra_entries;
    int status = widen_entries(topk, needed);
    if (status == OBS_OK)
        status = widen_slots(topk, needed);
    if (status == OBS_OK)
        status = widen_keys(topk, topk->key_bytes + extra_key_bytes);
    return status;
}

int obs_topk_copy(const obs_topk_t *topk, obs_topk_t *out)
{
    obs_topk_t copy;
    int status = obs_topk_init(&copy, topk->k);
    if (status == OBS_OK && topk->entry_count > 0)
        status = reserve(&copy, topk->entry_count, topk->key_bytes);
    if (status != OBS_OK) {
        obs_topk_free(&copy);
        return status;
    }
    if (topk->entry_count > 0) {
        memcpy(copy.entries, topk->entries, topk->entry_count * sizeof *topk->entries);
        memcpy(copy.keys, topk->keys, topk->key_bytes);
        copy.entry_count = topk->entry_count;
        copy.key_bytes = topk->key_bytes;
        fill_slots(&copy);
    }
    copy.total = topk->total;
    copy.other = topk->other;
    copy.subtracted = topk->subtracted;
    *out = copy;
    return OBS_OK;
}

size_t obs_topk_memory_bytes(const obs_topk_t *topk)
{
    return sizeof *topk + topk->slot_count * sizeof *topk->slots + topk->entry_capacity * sizeof *topk->entries +
           topk->key_capacity;
}

/* ---- Entries ------------------------------------------------------------------------------------- */

static obs_topk_entry_t *find(const obs_topk_t *topk, uint64_t hash, const void *key, size_t key_size)
{
    if (topk->slot_count == 0)
        return NULL;
    for (uint32_t at = (uint32_t)hash & (topk->slot_count - 1); topk->slots[at] != 0;
         at = (at + 1) & (topk->slot_count - 1)) {
        obs_topk_entry_t *entry = &topk->entries[topk->slots[at] - 1];
        if (entry->hash == hash && entry->key_size == key_size &&
            (key_size == 0 || memcmp(topk->keys + entry->key_at, key, key_size) == 0))
            return entry;
    }
    return NULL;
}

/* There is room. */
static void append(obs_topk_t *topk, uint64_t hash, const void *key, size_t key_size, uint64_t count)
{
    topk->entries[topk->entry_count++] =
        (obs_topk_entry_t){.hash = hash, .count = count, .key_at = topk->key_bytes, .key_size = (uint32_t)key_size};
    if (key_size > 0)
        memcpy(topk->keys + topk->key_bytes, key, key_size);
    topk->key_bytes += (uint32_t)key_size;
    *free_slot(topk, hash) = (uint16_t)topk->entry_count;
}

/* The count that k others are at least as large as. */
static uint64_t count_to_subtract(const obs_topk_t *topk)
{
    uint64_t counts[ENTRIES_MAX], scratch[ENTRIES_MAX];
    for (uint32_t i = 0; i < topk->entry_count; i++)
        counts[i] = topk->entries[i].count;
    const uint64_t *sorted = obs_radix_sort(counts, scratch, topk->entry_count);
    return sorted[topk->entry_count - topk->k - 1];
}

/* Of more than 2k entries at most k are left. */
static void reduce(obs_topk_t *topk)
{
    uint64_t subtracted = count_to_subtract(topk);
    uint32_t kept = 0, key_bytes = 0;
    for (uint32_t i = 0; i < topk->entry_count; i++) { /* keys lie in the order of the entries */
        obs_topk_entry_t entry = topk->entries[i];
        if (entry.count <= subtracted)
            continue;
        memmove(topk->keys + key_bytes, topk->keys + entry.key_at, entry.key_size);
        entry.count -= subtracted;
        entry.key_at = key_bytes;
        key_bytes += entry.key_size;
        topk->entries[kept++] = entry;
    }
    topk->entry_count = kept;
    topk->key_bytes = key_bytes;
    topk->subtracted += subtracted;
    fill_slots(topk);
}

int obs_topk_add_hashed(obs_topk_t *topk, uint64_t hash, const void *key, size_t key_size, uint64_t weight)
{
    if (OBS_UNLIKELY(key_size > OBS_TOPK_KEY_MAX || weight > UINT64_MAX - topk->total))
        return OBS_ERR_RANGE;
    if (OBS_UNLIKELY(weight == 0))
        return OBS_OK;
    obs_topk_entry_t *entry = find(topk, hash, key, key_size);
    if (OBS_LIKELY(entry != NULL)) {
        entry->count += weight;
    } else {
        int status = reserve(topk, 1, key_size);
        if (status != OBS_OK)
            return status;
        append(topk, hash, key, key_size, weight);
        if (topk->entry_count > 2 * topk->k)
            reduce(topk);
    }
    topk->total += weight;
    return OBS_OK;
}

int obs_topk_add(obs_topk_t *topk, const void *key, size_t key_size, uint64_t weight)
{
    if (OBS_UNLIKELY(key_size > OBS_TOPK_KEY_MAX))
        return OBS_ERR_RANGE;
    return obs_topk_add_hashed(topk, obs_hash_bytes(key, key_size), key, key_size, weight);
}

int obs_topk_add_other(obs_topk_t *topk, uint64_t weight)
{
    if (weight > UINT64_MAX - topk->total)
        return OBS_ERR_RANGE;
    topk->total += weight;
    topk->other += weight;
    return OBS_OK;
}

/* ---- Merging ------------------------------------------------------------------------------------- */

static const uint8_t *key_of(const obs_topk_t *topk, const obs_topk_entry_t *entry)
{
    return topk->keys + entry->key_at;
}

/* Room for those keys of from that into does not have. */
static int reserve_new(obs_topk_t *into, const obs_topk_t *from)
{
    uint32_t new_entries = 0;
    size_t new_key_bytes = 0;
    for (uint32_t i = 0; i < from->entry_count; i++) {
        const obs_topk_entry_t *entry = &from->entries[i];
        if (find(into, entry->hash, key_of(from, entry), entry->key_size) != NULL)
            continue;
        new_entries++;
        new_key_bytes += entry->key_size;
    }
    return new_entries == 0 ? OBS_OK : reserve(into, new_entries, new_key_bytes);
}

int obs_topk_merge(obs_topk_t *into, const obs_topk_t *from)
{
    if (from->total > UINT64_MAX - into->total)
        return OBS_ERR_RANGE;
    int status = reserve_new(into, from);
    if (status != OBS_OK)
        return status;
    uint32_t entry_count = from->entry_count; /* from may be into */
    for (uint32_t i = 0; i < entry_count; i++) {
        const obs_topk_entry_t *entry = &from->entries[i];
        obs_topk_entry_t *found = find(into, entry->hash, key_of(from, entry), entry->key_size);
        if (found != NULL)
            found->count += entry->count;
        else
            append(into, entry->hash, key_of(from, entry), entry->key_size, entry->count);
    }
    into->total += from->total;
    into->other += from->other;
    into->subtracted += from->subtracted;
    into->k = into->k < from->k ? into->k : from->k;
    if (into->entry_count > 2 * into->k)
        reduce(into);
    return OBS_OK;
}

/* ---- Answers ------------------------------------------------------------------------------------- */

int obs_topk_compare_keys(const obs_topk_item_t *left, const obs_topk_item_t *right)
{
    size_t common = left->key_size < right->key_size ? left->key_size : right->key_size;
    int order = common == 0 ? 0 : memcmp(left->key, right->key, common);
    return order != 0 ? order : (left->key_size > right->key_size) - (left->key_size < right->key_size);
}

static int compare_items(const void *left, const void *right)
{
    const obs_topk_item_t *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : obs_topk_compare_keys(a, b);
}

uint32_t obs_topk_list(const obs_topk_t *topk, obs_topk_item_t *items)
{
    for (uint32_t i = 0; i < topk->entry_count; i++) {
        const obs_topk_entry_t *entry = &topk->entries[i];
        items[i] = (obs_topk_item_t){key_of(topk, entry), entry->key_size, entry->count};
    }
    if (topk->entry_count > 0)
        qsort(items, topk->entry_count, sizeof *items, compare_items);
    return topk->entry_count < topk->k ? topk->entry_count : topk->k;
}

uint64_t obs_topk_error(const obs_topk_t *topk)
{
    return topk->subtracted + topk->other;
}
