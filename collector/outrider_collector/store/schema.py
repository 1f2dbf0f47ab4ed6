"""The store's tables. Times in microseconds; texts by their number in `names`; outcomes by OUTCOME_NUMBER."""

from __future__ import annotations

from outrider.core.sli import OUTCOME_ORDER

SCHEMA = """
CREATE TABLE IF NOT EXISTS names (id INTEGER NOT NULL, text VARCHAR NOT NULL);
CREATE TABLE IF NOT EXISTS batches (
    id INTEGER NOT NULL, agent INTEGER NOT NULL, epoch INTEGER NOT NULL, first_seq BIGINT NOT NULL, n INTEGER NOT NULL,
    hash UBIGINT NOT NULL, recorded_at BIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
    ts BIGINT NOT NULL, scheduled_at BIGINT NOT NULL, "interval" BIGINT NOT NULL, region INTEGER NOT NULL,
    agent INTEGER NOT NULL, epoch INTEGER NOT NULL, seq BIGINT NOT NULL, batch INTEGER NOT NULL,
    check_id INTEGER NOT NULL, scenario INTEGER NOT NULL, step INTEGER NOT NULL, purpose INTEGER NOT NULL,
    outcome TINYINT NOT NULL, code INTEGER NOT NULL, place INTEGER NOT NULL, detail INTEGER NOT NULL,
    cleanup INTEGER NOT NULL, latency BIGINT NOT NULL, resolve BIGINT NOT NULL, connect BIGINT NOT NULL,
    tls BIGINT NOT NULL, send BIGINT NOT NULL, wait BIGINT NOT NULL, receive BIGINT NOT NULL,
    http_status INTEGER NOT NULL,
    clock_offset BIGINT, clock_error BIGINT, digest UBIGINT NOT NULL);
CREATE TABLE IF NOT EXISTS steps (
    ts BIGINT NOT NULL, agent INTEGER NOT NULL, epoch INTEGER NOT NULL, seq BIGINT NOT NULL, number TINYINT NOT NULL,
    check_id INTEGER NOT NULL, step INTEGER NOT NULL, outcome TINYINT NOT NULL, code INTEGER NOT NULL,
    place INTEGER NOT NULL, latency BIGINT NOT NULL, resolve BIGINT NOT NULL, connect BIGINT NOT NULL,
    tls BIGINT NOT NULL, send BIGINT NOT NULL, wait BIGINT NOT NULL, receive BIGINT NOT NULL,
    http_status INTEGER NOT NULL);
CREATE OR REPLACE MACRO intDiv(a, b) AS a // b;
"""

# A sample counts at its instant on the collector's clock; it is void where the error bar of that instant is wider
# than a second, or where nobody knows it (R1). 7 is agent_fault.
OUTCOME = "CASE WHEN COALESCE(r.clock_error, 1000001) > 1000000 THEN 7 ELSE r.outcome END"
BUCKET = "intDiv(r.latency + 999, 1000)"

ANY_REGION = -2

# Exclusions are keyed by slice, so that the join is one of equality and the range is looked at for few rows only.
_RUNS = "FROM runs r\n"
_FROM = f"""
{_RUNS}JOIN wanted w ON w.check_id = r.check_id AND (w.region = {ANY_REGION} OR w.region = r.region)
LEFT JOIN excluded e ON e.check_id = r.check_id AND e.slice = intDiv(r.ts, 60000000) AND r.ts >= e.lo AND r.ts < e.hi
WHERE r.purpose = $purpose AND r.ts >= $start AND r.ts < $end AND r.batch <= $ledger
"""
# Some runs at other instants than their own; the bounds keep the rest of the file out of it. 1000001 is FARTHEST.
_RUNS_MOVED = """FROM (
    SELECT o.* REPLACE (COALESCE(m.at, o.ts) AS ts) FROM runs o
    LEFT JOIN moved m ON m.agent = o.agent AND m.epoch = o.epoch AND m.seq = o.seq
    WHERE o.ts >= $start - 1000001 AND o.ts < $end + 1000001
) r
"""


def moved(sql: str) -> str:
    """A question about a selection, asked of runs of which some are elsewhere."""
    return sql.replace(_RUNS, _RUNS_MOVED)


_LEFT_OUT = "CASE WHEN e.slice IS NULL THEN 0 ELSE 1 END"

SLICE_COUNTS = f"""
SELECT r.check_id, r.region AS region_id, intDiv(r.ts, $length) AS slice, {OUTCOME} AS outcome, {_LEFT_OUT} AS left_out,
       count(*) AS n, max(r.ts) AS last_at,
       max(CASE WHEN r."interval" > $length
                THEN r.scheduled_at + r."interval" + COALESCE(r.clock_offset, 0) ELSE 0 END) AS speaks_until
{_FROM}
GROUP BY 1, 2, 3, 4, 5
"""

LATENCY_COUNTS = f"""
SELECT r.check_id, {OUTCOME} AS outcome, {_LEFT_OUT} AS left_out, {BUCKET} AS bucket, count(*) AS n,
       CAST(sum(r.latency) AS BIGINT) AS total
{_FROM}
GROUP BY 1, 2, 3, 4 ORDER BY 4
"""

LATENCIES = f"""
SELECT r.latency, {OUTCOME} AS outcome
{_FROM} AND {BUCKET} = $bucket AND e.slice IS NULL
"""

STRADDLERS = f"""
SELECT r.check_id, r.region AS region_id, r.ts, {OUTCOME} AS outcome, r.latency
{_FROM} AND e.slice IS NULL AND EXISTS (
    SELECT 1 FROM edges x WHERE x.check_id = r.check_id AND x.at > r.ts AND x.at <= r.ts + r.latency)
"""

NEAR = f"""
SELECT r.check_id, r.agent, r.epoch, r.seq, r.ts, {OUTCOME} AS outcome, x.at AS edge
{_RUNS}JOIN wanted w ON w.check_id = r.check_id AND (w.region = {ANY_REGION} OR w.region = r.region)
JOIN edges x ON x.check_id = r.check_id AND x.second = intDiv(r.ts, 1000000)
WHERE r.purpose = $purpose AND r.ts >= $start AND r.ts < $end AND r.batch <= $ledger AND r.clock_error <= 1000000
  AND CASE WHEN r.ts < x.at THEN r.ts + r.clock_error >= x.at ELSE r.ts - r.clock_error < x.at END
ORDER BY r.agent, r.epoch, r.seq, abs(r.ts - x.at), x.at
"""

# Many questions at once, each with a number: one scan finds the few runs that failed, and the join does the rest.
# What is asked about is keyed by hour, so that the join is one of equality.
FAILURES = f"""
SELECT * EXCLUDE (rank) FROM (
    SELECT *, row_number() OVER (
        PARTITION BY number ORDER BY n DESC, check_id, region, outcome, code, place, step) AS rank
    FROM (
        SELECT a.number, r.check_id, r.region, {OUTCOME} AS outcome, r.code, r.place, r.step, count(*) AS n,
               min(r.ts) AS first_at, max(r.ts) AS last_at
        {_RUNS}JOIN asked a ON a.check_id = r.check_id AND a.hour = intDiv(r.ts, 3600000000)
            AND r.ts >= a.lo AND r.ts < a.hi AND r.batch <= a.ledger
            AND (a.region = {ANY_REGION} OR a.region = r.region)
        WHERE r.purpose = $purpose AND r.ts >= $start AND r.ts < $end AND r.outcome <> 0
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    )
) WHERE rank <= $most ORDER BY number, rank
"""

SEEN = """
SELECT check_id, region, max(ts) AS last, max("interval") AS "interval" FROM runs
WHERE purpose = $purpose AND ts >= $start AND ts < $end AND batch <= $ledger GROUP BY 1, 2
"""

TOUCHED = """
SELECT check_id, intDiv(ts, $width) AS bin, max(batch) AS position FROM runs
WHERE purpose = $purpose AND ts >= $start AND ts < $end AND batch <= $ledger GROUP BY 1, 2
"""

LATEST = f"""
SELECT r.check_id, r.region, r.ts, {OUTCOME} AS outcome, r.code, r.place, r.detail, r.latency, r.cleanup
FROM runs r JOIN (
    SELECT check_id, region, max(ts) AS ts FROM runs
    WHERE purpose = $purpose AND ts >= $start AND ts < $end AND batch <= $ledger GROUP BY 1, 2
) l ON l.check_id = r.check_id AND l.region = r.region AND l.ts = r.ts
WHERE r.purpose = $purpose AND r.batch <= $ledger
"""

LATENCY_LINE = f"""
SELECT r.region, intDiv(r.ts, $width) AS bin, {OUTCOME} AS outcome, {BUCKET} AS bucket, count(*) AS n FROM runs r
WHERE r.check_id = $check AND r.purpose = $purpose AND r.ts >= $start AND r.ts < $end AND r.batch <= $ledger
GROUP BY 1, 2, 3, 4 ORDER BY 2, 4
"""

DAYS = """
SELECT intDiv(ts, 86400000000) AS day, max(batch) AS position FROM runs WHERE batch <= $ledger GROUP BY 1 ORDER BY 1
"""

RECORDED_BETWEEN = """
SELECT count(*) AS n FROM runs
WHERE purpose = $purpose AND ts >= $start AND ts < $end AND batch > $after AND batch <= $ledger
"""

_OUTCOMES = ", ".join(f"'{outcome}'" for outcome in OUTCOME_ORDER)
_NAMED = "\n".join(
    f"JOIN names n_{column} ON n_{column}.id = r.{column}"
    for column in (
        "agent", "epoch", "region", "check_id", "scenario", "purpose", "code", "place", "step", "detail", "cleanup")
)  # fmt: skip

# Names, not numbers, so that whoever has the file alone can read it. Texts are ordered by their bytes.
SEALED_ROWS = f"""
SELECT n_agent.text AS agent, n_epoch.text AS epoch, r.seq, lpad(lower(to_hex(r.digest)), 16, '0') AS digest,
       CAST(r.batch AS BIGINT) AS position, b.recorded_at, r.ts, r.scheduled_at, r."interval", n_region.text AS region,
       n_check_id.text AS check_id, n_scenario.text AS scenario, n_purpose.text AS purpose,
       [{_OUTCOMES}][r.outcome + 1] AS outcome, n_code.text AS code, n_place.text AS place, n_step.text AS step,
       n_detail.text AS detail, n_cleanup.text AS cleanup, r.latency, r.resolve, r.connect, r.tls, r.send, r.wait,
       r.receive, CAST(r.http_status AS BIGINT) AS http_status, r.clock_offset, r.clock_error,
       COALESCE(s.steps, '[]') AS steps
FROM runs r
JOIN (SELECT DISTINCT id, recorded_at FROM batches) b ON b.id = r.batch
{_NAMED}
LEFT JOIN (
    SELECT s.agent, s.epoch, s.seq, '[' || string_agg(CAST(json_array(
               n_step.text, [{_OUTCOMES}][s.outcome + 1], n_code.text, n_place.text, s.latency, s.resolve, s.connect,
               s.tls, s.send, s.wait, s.receive, s.http_status) AS VARCHAR), ',' ORDER BY s.number) || ']' AS steps
    FROM steps s
    JOIN names n_step ON n_step.id = s.step
    JOIN names n_code ON n_code.id = s.code
    JOIN names n_place ON n_place.id = s.place
    WHERE s.ts >= $start AND s.ts < $end
    GROUP BY 1, 2, 3
) s ON s.agent = r.agent AND s.epoch = r.epoch AND s.seq = r.seq
WHERE r.ts >= $start AND r.ts < $end AND r.batch > $after AND r.batch <= $ledger
ORDER BY 1, 2, 3
"""

# Runs sent in the same instant stand in the order of who sent them, so that the same question has one answer.
RUNS = f"""
SELECT check_id, region, ts, outcome, latency FROM (
    SELECT r.check_id, r.region, r.ts, {OUTCOME} AS outcome, r.latency, r.agent, r.epoch, r.seq, row_number() OVER (
        PARTITION BY r.check_id, r.region ORDER BY $direction * r.ts, r.agent, r.epoch, r.seq) AS rank
    {_FROM} AND e.slice IS NULL
) WHERE rank <= $most ORDER BY check_id, region, ts, agent, epoch, seq
"""
