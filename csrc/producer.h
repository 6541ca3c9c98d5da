/* producer.h: what one thread records into: its ring and its deltas.
 *
 *     thread ── tag, value ──► ring ──────────────┐
 *       │                                         ├──► the drain (consumer)
 *       └─ many values ──► delta of the series ───┘
 *                          (announced on a list)
 *
 * Tag of a record: bits 0-31 the series, 32-39 what it is, 40-63 for a run its number of values. The values of
 * a run lie one after the other from its first record's value on; its records come in one claim. In the place of its
 * value a record of a category has its code or hash, and one of nulls or of wrong types how many samples it stands for,
 * as 64-bit integers.
 *
 * A table is rows of numbers as they lie in a matrix, for the drain to take apart: its tag has the number of its
 * columns in the place of the series, and of its rows in that of a run's values. Behind the tag come the columns'
 * series, 32 bits each, padding up to 8 bytes, and row after row of doubles or singles, in one claim as well.
 *
 * A producer has two owners, the thread and the drain, and each may go first: gone has one bit for either,
 * and who sets the second one frees the producer.
 */
#ifndef OBS_PRODUCER_H
#define OBS_PRODUCER_H

#include "delta.h"
#include "ring.h"

enum {
    OBS_RECORD_SAMPLE = 0,
    OBS_RECORD_INCREMENT = 1,
    OBS_RECORD_RUN = 2,
    OBS_RECORD_CATEGORY = 3,
    OBS_RECORD_HASH = 4,
    OBS_RECORD_NULLS = 5,
    OBS_RECORD_WRONG_TYPES = 6,
    OBS_RECORD_TABLE = 7,
    OBS_RECORD_TABLE_OF_SINGLES = 8,
};

#define OBS_RECORD_TAG(what, series) ((uint64_t)(what) << 32 | (series))
#define OBS_RUN_VALUES_MAX (2 * OBS_RING_CLAIM_MAX - 1)
#define OBS_RUN_TAG(series, value_count) (OBS_RECORD_TAG(OBS_RECORD_RUN, series) | (uint64_t)(value_count) << 40)
#define OBS_TABLE_TAG(what, column_count, row_count) (OBS_RECORD_TAG(what, column_count) | (uint64_t)(row_count) << 40)
#define OBS_TABLE_COLUMNS_MAX 256 /* with a row of doubles they take no more than a claim may */
#define OBS_BULK_VALUES_MIN 256   /* fewer go through the ring: cheaper for the thread than to bucket them */
/* The same for columns, whose values cost more to sketch than a model server wants to wait for. */
#define OBS_COLUMN_BULK_VALUES_MIN ((size_t)1 << 16)

/* Rows of numbers where they lie. */
typedef struct {
    const uint32_t *series; /* of the columns */
    uint32_t column_count;  /* 1..OBS_TABLE_COLUMNS_MAX */
    bool is_of_singles;     /* float32, not float64; one beside the other in a row */
    const void *values;     /* may be unaligned */
    ptrdiff_t row_stride;   /* bytes from one row to the next */
    size_t row_count;
} obs_table_t;

/* Bytes before the rows of a table, its tag among them. */
static inline size_t obs_table_head_bytes(uint32_t column_count)
{
    return sizeof(uint64_t) + (column_count * sizeof(uint32_t) + 7) / 8 * 8;
}

typedef struct obs_producer {
    obs_ring_t ring;
    /* written by the thread */
    obs_delta_t **deltas; /* by series; NULL where the thread never recorded in bulk */
    uint32_t delta_capacity;
    _Atomic uint32_t in_call;      /* the thread is inside obs_producer_add_many */
    _Atomic uint64_t bulk_samples; /* values added to deltas */
    _Atomic int64_t run_surplus;   /* samples in records that are not one each, less these records */
    /* shared */
    _Atomic(obs_delta_t *) announced;
    _Atomic uint32_t gone;
    /* the drain's */
    obs_delta_t *waiting; /* announced, not yet taken */
    uint64_t until;       /* the ring's head when the present collection began */
    bool is_last;         /* the thread was gone before that */
    struct obs_producer *next;
} obs_producer_t;

/* A producer with one owner-to-be on either side; NULL if there is no memory. */
obs_producer_t *obs_producer_new(obs_ring_pool_t *pool);
/* Either owner lets go: the thread when it ends, the drain when it has read the last or is destroyed. The
 * drain closes the ring first if its pool goes too. */
void obs_producer_leave_thread(obs_producer_t *producer);
void obs_producer_leave_drain(obs_producer_t *producer);

/* Thread ---------------------------------------------------------------------------------------------- */

/* Samples of a histogram series, as it was defined: bucketed here if there are many, through the ring if not.
 * What finds no room is counted dropped. Needs no lock of any kind. */
void obs_producer_add_many(obs_producer_t *producer, uint32_t series, int scale, bool keeps_digest,
                           const double *values, size_t value_count);

/* Numbers of a column, stride bytes from one to the next (negative, too): through the ring if there are few, so that
 * the drain sketches them, and sketched here if there are many or the ring is full. */
void obs_producer_add_column(obs_producer_t *producer, const obs_shape_t *shape, const void *values, ptrdiff_t stride,
                             size_t value_count);
/* Numbers of many columns, which the drain takes apart: costs the thread hardly more than to copy them. Returns how
 * many rows have found room; nothing is counted for the others. */
OBS_MUST_CHECK size_t obs_producer_push_table(obs_producer_t *producer, const obs_table_t *table);
/* A record that stands for weight (>= 1) samples and has a 64-bit integer for its value. OBS_ERR_FULL: dropped and
 * counted; OBS_ERR_STATE: the ring is closed, nothing counted. */
OBS_MUST_CHECK int obs_producer_push_weighted(obs_producer_t *producer, uint64_t tag, uint64_t bits, uint64_t weight);

/* Drain ------------------------------------------------------------------------------------------------ */

/* True once nothing more will be recorded. */
bool obs_producer_thread_is_gone(const obs_producer_t *producer);
/* Moves what was announced to the front of waiting. */
void obs_producer_gather_deltas(obs_producer_t *producer);

/* Anyone ------------------------------------------------------------------------------------------------ */

/* Samples recorded: delivered, waiting or dropped. */
static inline uint64_t obs_producer_recorded(const obs_producer_t *producer)
{
    return obs_ring_pushed(&producer->ring) +
           (uint64_t)atomic_load_explicit(&producer->run_surplus, memory_order_relaxed) +
           atomic_load_explicit(&producer->bulk_samples, memory_order_relaxed) + obs_ring_dropped(&producer->ring);
}

#endif
