/* open_batch_table.c: tables taken apart into the columns of the open batch. */
#include "open_batch_parts.h"
#include "producer.h"

enum { BLOCK_ROWS = 512 };

/* Doubles or singles, stride bytes apart, as doubles one behind the other. */
static void gather(double *out, const char *values, size_t stride, size_t value_count, bool is_of_singles)
{
    if (is_of_singles) {
        for (size_t i = 0; i < value_count; i++, values += stride) {
            float value;
            memcpy(&value, values, sizeof value);
            out[i] = (double)value;
        }
        return;
    }
    for (size_t i = 0; i < value_count; i++, values += stride)
        memcpy(out + i, values, sizeof *out);
}

size_t obs_open_batch_add_table(obs_open_batch_t *batch, const obs_ring_record_t *records)
{
    const char *at = (const char *)records;
    bool is_of_singles = (records->tag >> 32 & 0xff) == OBS_RECORD_TABLE_OF_SINGLES;
    uint32_t column_count = (uint32_t)records->tag;
    size_t row_count = records->tag >> 40, value_bytes = is_of_singles ? sizeof(float) : sizeof(double);
    size_t head_bytes = obs_table_head_bytes(column_count), row_bytes = column_count * value_bytes;
    double values[BLOCK_ROWS];
    for (size_t done = 0, count; done < row_count; done += count) {
        count = row_count - done < BLOCK_ROWS ? row_count - done : BLOCK_ROWS;
        for (size_t column = 0; column < column_count; column++) {
            uint32_t series;
            memcpy(&series, at + sizeof records->tag + column * sizeof series, sizeof series);
            gather(values, at + head_bytes + done * row_bytes + column * value_bytes, row_bytes, count, is_of_singles);
            obs_open_batch_add_values(batch, obs_recorded_series(batch, series), values, count);
        }
    }
    return (head_bytes + row_count * row_bytes + sizeof *records - 1) / sizeof *records;
}
