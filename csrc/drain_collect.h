/* drain_collect.h: the middle of the drain, between drain.c, which knows callers and the thread, and the kernels
 * below. Whoever calls holds the drain's role.
 */
#ifndef OBS_DRAIN_COLLECT_H
#define OBS_DRAIN_COLLECT_H

#include "drain.h"

#define OBS_GAUGE_INTERVAL_NS ((int64_t)1000000000)

/* The first edge after now_ns, by the drain's clock. */
int64_t obs_drain_edge_after(const obs_drain_t *drain, int64_t now_ns);

/* Moves new producers to the drain's list. */
void obs_drain_adopt(obs_drain_t *drain);

obs_accounts_t obs_drain_sum_accounts(const obs_drain_t *drain);

/* Everything recorded before the call goes to the open batch; edges that have come are crossed. With want, bulk
 * calls that are under way are asked to hand over (see delta.h). Returns the time of the step: at_ns, or later if
 * another caller who read the clock later came first. */
int64_t obs_drain_collect(obs_drain_t *drain, int64_t at_ns, bool want);

/* Seals the open batch, with a sample of each gauge if with_gauges. A batch of nothing is sealed only to tell of
 * losses that no other batch has told. */
void obs_drain_seal_open(obs_drain_t *drain, int64_t end_ns, bool with_gauges);
/* Seals the columns that are open, in as many batches as they fill. */
void obs_drain_seal_columns(obs_drain_t *drain, int64_t end_ns);

/* Bulk values of calls that were under way are still to come. */
bool obs_drain_awaits_deltas(const obs_drain_t *drain);

#endif
