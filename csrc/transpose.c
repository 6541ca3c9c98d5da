#include "transpose.h"

#include <stdlib.h>
#include <string.h>

#include "accumulator.h"
#include "obs_port.h"
#include "rows.h"
#include "sections.h"
#include "varint.h"

/* A step and the size of the rows: a varint of 64 bits and one of 32. */
#define SECTION_HEAD_MAX_SIZE (OBS_VARINT_MAX_SIZE + 5u)

typedef obs_transpose_row_t row_t;

void obs_transpose_init(obs_transpose_t *transpose, int64_t width_ms)
{
    *transpose = (obs_transpose_t){.width_ms = width_ms};
}

void obs_transpose_free(obs_transpose_t *transpose)
{
    obs_bytes_free(&transpose->tails);
    obs_free(transpose->rows);
    obs_transpose_init(transpose, transpose->width_ms);
}

/* The start of the window of this width that holds window_ms; a time before the first such window stays. */
static int64_t widened(int64_t window_ms, int64_t width_ms)
{
    if (width_ms == 0)
        return window_ms;
    int64_t behind = window_ms % width_ms;
    if (behind < 0)
        behind += width_ms;
    return window_ms < INT64_MIN + behind ? window_ms : window_ms - behind;
}

static int add_row(obs_transpose_t *transpose, int64_t window_ms, uint32_t series, const uint8_t *tail, size_t size)
{
    if (size > UINT32_MAX || transpose->tails.size > UINT32_MAX - size)
        return OBS_ERR_FULL;
    if (transpose->row_count == transpose->row_capacity) {
        size_t capacity = transpose->row_capacity == 0 ? 64 : transpose->row_capacity * 2;
        row_t *grown = obs_realloc(transpose->rows, capacity * sizeof *grown);
        if (grown == NULL)
            return OBS_ERR_NOMEM;
        transpose->rows = grown;
        transpose->row_capacity = capacity;
    }
    int status = obs_bytes_reserve(&transpose->tails, size);
    if (status != OBS_OK)
        return status;
    uint32_t offset = (uint32_t)transpose->tails.size;
    memcpy(transpose->tails.bytes + offset, tail, size);
    transpose->tails.size += size;
    transpose->rows[transpose->row_count++] =
        (row_t){.window_ms = window_ms, .series = series, .offset = offset, .size = (uint32_t)size};
    return OBS_OK;
}

/* Behind the varint that a row begins with. */
static const uint8_t *behind_series(const uint8_t *row)
{
    while (*row & 0x80)
        row++;
    return row + 1;
}

static int add_rows(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series, int64_t window_ms,
                    const uint8_t *rows, size_t size)
{
    obs_rows_reader_t reader;
    obs_rows_reader_init(&reader, rows, size);
    obs_row_t row;
    int status;
    int64_t start_ms = widened(window_ms, transpose->width_ms);
    for (const uint8_t *begin = rows; (status = obs_rows_next(&reader, &row)) > 0; begin = reader.cursor) {
        if (row.series < first_series || row.series > last_series)
            continue;
        status = obs_row_check(&row);
        const uint8_t *tail = behind_series(begin);
        if (status == OBS_OK)
            status = add_row(transpose, start_ms, row.series, tail, (size_t)(reader.cursor - tail));
        if (status != OBS_OK)
            return status;
    }
    return status;
}

/* Back to how it was if something failed; returns status. */
static int unless_failed(obs_transpose_t *transpose, size_t row_count, size_t size, int status)
{
    if (status != OBS_OK) {
        transpose->row_count = row_count;
        transpose->tails.size = size;
    }
    return status;
}

int obs_transpose_add_rows(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series, int64_t window_ms,
                           const uint8_t *rows, size_t size)
{
    size_t row_count = transpose->row_count, tails_size = transpose->tails.size;
    int status = add_rows(transpose, first_series, last_series, window_ms, rows, size);
    return unless_failed(transpose, row_count, tails_size, status);
}

int obs_transpose_add_sections(obs_transpose_t *transpose, uint32_t first_series, uint32_t last_series,
                               const uint8_t *bytes, size_t size)
{
    size_t row_count = transpose->row_count, tails_size = transpose->tails.size;
    obs_sections_reader_t reader;
    obs_section_t section;
    int status = obs_sections_reader_init(&reader, bytes, size);
    while (status == OBS_OK && (status = obs_sections_next(&reader, &section)) > 0)
        status = add_rows(transpose, first_series, last_series, section.window_ms, section.rows, section.size);
    return unless_failed(transpose, row_count, tails_size, status);
}

static int compare_windows(const row_t *left, const row_t *right)
{
    return (left->window_ms > right->window_ms) - (left->window_ms < right->window_ms);
}

static int compare_series(const row_t *left, const row_t *right)
{
    return (left->series > right->series) - (left->series < right->series);
}

/* By series, then window, then in the order in which they came. */
static int by_series(const void *left, const void *right)
{
    const row_t *l = left, *r = right;
    int order = compare_series(l, r);
    if (order == 0)
        order = compare_windows(l, r);
    return order != 0 ? order : (l->offset > r->offset) - (l->offset < r->offset);
}

/* By window, then series. */
static int by_window(const void *left, const void *right)
{
    int order = compare_windows(left, right);
    return order != 0 ? order : compare_series(left, right);
}

/* Merges a tail into an accumulator: with a series of 0 before it, it is a row. */
static int merge_tail(obs_accumulator_t *into, const uint8_t *tail, size_t size, obs_bytes_t *scratch, uint8_t *kind)
{
    scratch->size = 0;
    int status = obs_bytes_reserve(scratch, 1 + size);
    if (status != OBS_OK)
        return status;
    scratch->bytes[0] = 0;
    memcpy(scratch->bytes + 1, tail, size);
    obs_rows_reader_t reader;
    obs_row_t row = {0};
    obs_rows_reader_init(&reader, scratch->bytes, 1 + size);
    status = obs_rows_next(&reader, &row);
    if (status < 0)
        return status;
    if (*kind != 0 && *kind != row.kind)
        return OBS_ERR_STATE;
    *kind = row.kind;
    return obs_accumulator_merge_row(into, &row);
}

/* The partials become one row, whose tail is appended to the others. */
static int fold_into(obs_transpose_t *transpose, const row_t *partials, size_t count, obs_accumulator_t *accumulator,
                     obs_bytes_t *scratch, row_t *folded)
{
    uint8_t kind = 0;
    for (size_t index = 0; index < count; index++) {
        const uint8_t *tail = transpose->tails.bytes + partials[index].offset;
        int status = merge_tail(accumulator, tail, partials[index].size, scratch, &kind);
        if (status != OBS_OK)
            return status;
    }
    scratch->size = 0;
    obs_rows_writer_t writer;
    obs_rows_writer_init(&writer, scratch);
    int status = obs_accumulator_put(accumulator, kind, 0, &writer);
    if (status != OBS_OK)
        return status;
    size_t size = scratch->size - 1;
    if (size > UINT32_MAX || transpose->tails.size > UINT32_MAX - size)
        return OBS_ERR_FULL;
    status = obs_bytes_reserve(&transpose->tails, size);
    if (status != OBS_OK)
        return status;
    *folded = partials[0];
    folded->offset = (uint32_t)transpose->tails.size;
    folded->size = (uint32_t)size;
    memcpy(transpose->tails.bytes + folded->offset, scratch->bytes + 1, size);
    transpose->tails.size += size;
    return OBS_OK;
}

static int fold(obs_transpose_t *transpose, const row_t *partials, size_t count, row_t *folded)
{
    obs_accumulator_t accumulator;
    int status = obs_accumulator_init(&accumulator, OBS_LOGHIST_MAX_SCALE);
    if (status != OBS_OK)
        return status;
    accumulator.keeps_digest = true; /* of all partials or, if one has none, of none */
    obs_bytes_t scratch;
    obs_bytes_init(&scratch);
    status = fold_into(transpose, partials, count, &accumulator, &scratch, folded);
    obs_bytes_free(&scratch);
    obs_accumulator_free(&accumulator);
    return status;
}

/* One row for each series and window; the rows are sorted before and after. */
static int fold_partials(obs_transpose_t *transpose)
{
    row_t *rows = transpose->rows;
    size_t kept = 0;
    for (size_t begin = 0, end; begin < transpose->row_count; begin = end) {
        end = begin + 1;
        while (end < transpose->row_count && by_window(&rows[begin], &rows[end]) == 0)
            end++;
        row_t row = rows[begin];
        int status = end - begin == 1 ? OBS_OK : fold(transpose, rows + begin, end - begin, &row);
        if (status != OBS_OK)
            return status;
        rows[kept++] = row;
    }
    transpose->row_count = kept;
    return OBS_OK;
}

void obs_transposed_init(obs_transposed_t *out)
{
    *out = (obs_transposed_t){0};
}

void obs_transposed_free(obs_transposed_t *out)
{
    obs_bytes_free(&out->bytes);
    obs_free(out->frames);
    obs_transposed_init(out);
}

static int add_frame(obs_transposed_t *out, obs_transposed_frame_t frame)
{
    if (out->frame_count == out->frame_capacity) {
        size_t capacity = out->frame_capacity == 0 ? 8 : out->frame_capacity * 2;
        obs_transposed_frame_t *grown = obs_realloc(out->frames, capacity * sizeof *grown);
        if (grown == NULL)
            return OBS_ERR_NOMEM;
        out->frames = grown;
        out->frame_capacity = capacity;
    }
    out->frames[out->frame_count++] = frame;
    return OBS_OK;
}

/* The rows of the window of the first one, and how many bytes they take. */
static size_t section_rows(const row_t *rows, size_t row_count, size_t *size)
{
    size_t count = 0;
    uint32_t previous = 0;
    *size = 0;
    for (; count < row_count && rows[count].window_ms == rows[0].window_ms; count++) {
        *size += obs_varint_size(rows[count].series - previous) + rows[count].size;
        previous = rows[count].series;
    }
    return count;
}

/* Writes the section of the first row's window; there is room. Returns how many rows it took. */
static size_t put_section(const obs_transpose_t *transpose, const row_t *rows, size_t row_count, int64_t before_ms,
                          obs_bytes_t *out)
{
    size_t size, count = section_rows(rows, row_count, &size);
    uint8_t *at = out->bytes + out->size;
    at += obs_varint_put(at, (uint64_t)rows[0].window_ms - (uint64_t)before_ms);
    at += obs_varint_put(at, size);
    uint32_t previous = 0;
    for (size_t index = 0; index < count; index++) {
        at += obs_varint_put(at, rows[index].series - previous);
        memcpy(at, transpose->tails.bytes + rows[index].offset, rows[index].size);
        at += rows[index].size;
        previous = rows[index].series;
    }
    out->size = (size_t)(at - out->bytes);
    return count;
}

/* Writes rows[0..row_count), whose size is at most bound, as one frame. */
static int put_frame(const obs_transpose_t *transpose, row_t *rows, size_t row_count, size_t bound,
                     obs_transposed_t *out)
{
    obs_transposed_frame_t frame = {
        .first_series = rows[0].series, .last_series = rows[row_count - 1].series, .offset = out->bytes.size};
    if (frame.first_series != frame.last_series)
        qsort(rows, row_count, sizeof *rows, by_window);
    frame.first_window_ms = rows[0].window_ms;
    frame.last_window_ms = rows[row_count - 1].window_ms;
    int status = obs_bytes_reserve(&out->bytes, bound);
    if (status != OBS_OK)
        return status;
    obs_store_u64(out->bytes.bytes + out->bytes.size, (uint64_t)frame.first_window_ms);
    out->bytes.size += sizeof(int64_t);
    int64_t before_ms = frame.first_window_ms;
    for (size_t done = 0; done < row_count;) {
        int64_t window_ms = rows[done].window_ms;
        done += put_section(transpose, rows + done, row_count - done, before_ms, &out->bytes);
        before_ms = window_ms;
    }
    frame.size = out->bytes.size - frame.offset;
    return add_frame(out, frame);
}

/* What a row takes at most: a step to its series is no longer than the series. */
static size_t row_bound(const row_t *row)
{
    return obs_varint_size(row->series) + row->size;
}

/* An index says in 32 bits how far the last window of a frame is from its first: windows that lie further apart (the
 * clock has jumped) go into frames of their own. */
static int within_span(int64_t first_ms, int64_t last_ms)
{
    return (uint64_t)last_ms - (uint64_t)first_ms <= UINT32_MAX;
}

/* The rows of one series from the first on that fit into a frame, one at least, and their size. */
static size_t history_that_fits(const row_t *rows, size_t row_count, size_t max_bytes, size_t *bound)
{
    size_t count = 0;
    *bound = sizeof(int64_t);
    for (; count < row_count && rows[count].series == rows[0].series; count++) {
        uint64_t step = count == 0 ? 0 : (uint64_t)rows[count].window_ms - (uint64_t)rows[count - 1].window_ms;
        size_t size = row_bound(&rows[count]);
        size += obs_varint_size(step) + obs_varint_size(size);
        if (count > 0 && (*bound + size > max_bytes || !within_span(rows[0].window_ms, rows[count].window_ms)))
            break;
        *bound += size;
    }
    return count;
}

/* The rows of whole series from the first on that fit into a frame together, and their bound; 0 if the first
 * series alone does not. A frame has at most as many windows as there are, and as rows. */
static size_t neighbours_that_fit(const row_t *rows, size_t row_count, size_t window_count, size_t max_bytes,
                                  size_t *bound)
{
    size_t fitting = 0, rows_bound = 0;
    int64_t first_ms = rows[0].window_ms, last_ms = first_ms;
    for (size_t count = 0; count < row_count;) {
        uint32_t series = rows[count].series;
        first_ms = rows[count].window_ms < first_ms ? rows[count].window_ms : first_ms;
        for (; count < row_count && rows[count].series == series; count++)
            rows_bound += row_bound(&rows[count]);
        last_ms = rows[count - 1].window_ms > last_ms ? rows[count - 1].window_ms : last_ms;
        size_t windows_bound = (count < window_count ? count : window_count) * SECTION_HEAD_MAX_SIZE;
        size_t with_series = sizeof(int64_t) + windows_bound + rows_bound;
        if (with_series > max_bytes || !within_span(first_ms, last_ms))
            break;
        fitting = count;
        *bound = with_series;
    }
    return fitting;
}

static int compare_times(const void *left, const void *right)
{
    int64_t l = *(const int64_t *)left, r = *(const int64_t *)right;
    return (l > r) - (l < r);
}

/* How many different windows there are. */
static int count_windows(const obs_transpose_t *transpose, size_t *window_count)
{
    int64_t *times = obs_malloc(transpose->row_count * sizeof *times);
    if (times == NULL)
        return OBS_ERR_NOMEM;
    for (size_t index = 0; index < transpose->row_count; index++)
        times[index] = transpose->rows[index].window_ms;
    qsort(times, transpose->row_count, sizeof *times, compare_times);
    *window_count = 1;
    for (size_t index = 1; index < transpose->row_count; index++)
        *window_count += times[index] != times[index - 1];
    obs_free(times);
    return OBS_OK;
}

int obs_transpose_encode(obs_transpose_t *transpose, size_t max_bytes, obs_transposed_t *out)
{
    if (transpose->row_count == 0)
        return OBS_OK;
    qsort(transpose->rows, transpose->row_count, sizeof *transpose->rows, by_series);
    int status = fold_partials(transpose);
    size_t window_count = 0;
    if (status == OBS_OK)
        status = count_windows(transpose, &window_count);
    for (size_t done = 0, count, bound = 0; status == OBS_OK && done < transpose->row_count; done += count) {
        row_t *rows = transpose->rows + done;
        size_t row_count = transpose->row_count - done;
        count = neighbours_that_fit(rows, row_count, window_count, max_bytes, &bound);
        if (count == 0)
            count = history_that_fits(rows, row_count, max_bytes, &bound);
        status = put_frame(transpose, rows, count, bound, out);
    }
    return status;
}
