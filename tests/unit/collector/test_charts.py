"""The p90 line as SVG: where it breaks, where its marks stand, and that no name becomes markup."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import Element, fromstring
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.core.intervals import Interval
from outrider.core.units import HOUR, MILLISECOND, MINUTE, SECOND, parse_duration, parse_instant
from outrider_collector.charts import (
    BOTTOM,
    TOP,
    LatencyChart,
    Point,
    Scale,
    Shade,
    latency,
    latency_chart,
    segments,
    time_ticks,
)

NEW_YORK = ZoneInfo("America/New_York")
NOON = parse_instant("2026-06-01T16:00:00Z")


def bins(line: str, width: int = MINUTE) -> tuple[Point, ...]:
    """One word a bin: milliseconds, "inf" for an infinite p90, "-" for no data."""
    return tuple(
        Point(
            NOON + number * width,
            int(word) * MILLISECOND if word.isdigit() else None,
            0 if word == "-" else 10,
        )
        for number, word in enumerate(line.split())
    )


def chart(line: str, **changes: object) -> LatencyChart:
    made = LatencyChart("eligibility", 3, NEW_YORK, MINUTE, bins(line), reach=MINUTE)
    return replace(made, **changes)  # type: ignore[arg-type]


def drawn(made: LatencyChart) -> Element:
    return fromstring(str(latency_chart(made)))


def of_class(root: Element, name: str) -> list[Element]:
    return [each for each in root.iter() if each.get("class") == name]


def path_of(root: Element) -> list[list[tuple[float, float]]]:
    (line,) = of_class(root, "line")
    parts = (line.get("d") or "").split("M")[1:]
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in part.split(" L"))] for part in parts]


def words(root: Element) -> str:
    return next(each.text or "" for each in root.iter("desc"))


# --- gaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reach", "lengths"),
    [
        ("100 200 300", "1m", [3]),
        ("100 200 - 300 400", "1m", [2, 2]),
        ("- - 100 200 -", "1m", [2]),
        ("100 - 200 - 300", "1m", [1, 1, 1]),
        # A check that runs every two minutes has no gaps where it had no slot.
        ("100 - 200 - 300 - - - 400", "3m", [3, 1]),
        # An infinite p90 breaks the line, however far it reaches.
        ("100 inf 200 300", "3m", [1, 2]),
        ("100 - inf - 200", "10m", [1, 1]),
        ("inf inf", "1m", []),
        ("- -", "1m", []),
    ],
)
def test_the_line_breaks_where_nothing_is_known_and_where_p90_is_infinite(
    line: str, reach: str, lengths: list[int]
) -> None:
    assert [len(part) for part in segments(bins(line), parse_duration(reach))] == lengths


def test_the_svg_of_a_line_has_a_stroke_for_each_unbroken_part_and_a_dot_for_a_lone_point() -> None:
    root = drawn(chart("100 200 - 400 - inf 300 250 200 -"))
    # Ten bins on 1000 units: the middle of bin n is at 100 n + 50.
    assert [[x for x, _ in part] for part in path_of(root)] == [[50, 150], [650, 750, 850]]
    assert [dot.get("cx") for dot in of_class(root, "dot")] == ["35.00%", "85.00%"]  # the lone one, and the last


def test_a_slower_bin_stands_higher() -> None:
    ((first, second, third),) = path_of(drawn(chart("100 400 200")))
    assert BOTTOM > first[1] > third[1] > second[1] > TOP


def test_a_line_without_any_data_is_still_a_picture_that_says_so() -> None:
    root = drawn(chart("- - -"))
    assert path_of(root) == []
    assert "3 of 3 bins of 1m have no data." in words(root)


# --- marks, limit, shades --------------------------------------------------------------------------------------------


def test_an_infinite_p90_is_a_mark_above_the_plot_and_says_what_it_is() -> None:
    root = drawn(chart("100 200 inf inf 300"))
    marks = of_class(root, "infinite")
    assert [(mark.get("x"), mark.text) for mark in marks] == [("50.00%", "▲"), ("70.00%", "▲")]
    assert all(float(mark.get("y") or "") < TOP for mark in marks)
    titles = [each.findtext("title") for each in of_class(root, "bin")]
    assert titles[1] == "12:01 to 12:02: p90 200 ms, 10 samples"
    assert titles[2] == "12:02 to 12:03: p90 infinite, more than one in ten of 10 samples failed"
    assert "In 2 of 5 bins of 1m more than one run in ten failed." in words(root)


@pytest.mark.parametrize(
    ("line", "anchors"),
    [("inf 1 1 1 1 1", ["start"]), ("1 1 1 1 1 inf", ["end"]), ("inf 1 1 1 1 inf", []), ("1 1 1", [])],
)
def test_the_word_beside_the_marks_never_stands_on_one(line: str, anchors: list[str]) -> None:
    assert [each.get("text-anchor") for each in of_class(drawn(chart(line)), "infinite-word")] == anchors


def test_the_limit_is_drawn_at_its_own_height_even_far_above_the_line() -> None:
    root = drawn(chart("100 200 300", limit=10 * SECOND))
    (limit,) = of_class(root, "limit")
    ((_, highest),) = [min(part, key=lambda place: place[1]) for part in path_of(root)]
    assert limit.get("y1") == limit.get("y2") == str(Scale(50 * MILLISECOND, 20 * SECOND).y(10 * SECOND))
    assert TOP < float(limit.get("y1") or "") < highest
    assert [each.text for each in of_class(root, "limit-word")] == ["limit 10 s"]
    assert of_class(drawn(chart("100 200 300")), "limit") == []


def test_maintenance_is_shaded_where_it_lies_inside_the_picture() -> None:
    shades = (
        Shade(Interval(NOON - HOUR, NOON + MINUTE), "maintenance w-1 (over)"),
        Shade(Interval(NOON + 2 * MINUTE, NOON + 3 * MINUTE), "maintenance w-2 (over)"),
        Shade(Interval(NOON + HOUR, NOON + 2 * HOUR), "maintenance w-3 (announced)"),
    )
    root = drawn(chart("100 100 100 100", shades=shades))
    assert [(each.get("x"), each.get("width")) for each in of_class(root, "shade")] == [
        ("0.00%", "25.00%"),
        ("50.00%", "25.00%"),
    ]
    titles = [each.findtext("title") or "" for each in of_class(root, "bin")]
    assert ["w-1" in title for title in titles] == [True, False, False, False]
    assert ["w-2" in title for title in titles] == [False, False, True, False]
    assert titles[0].endswith("; maintenance w-1 (over)")


def test_two_charts_of_one_page_share_no_id() -> None:
    shade = Shade(Interval(NOON, NOON + MINUTE), "maintenance")
    one, two = (drawn(chart("1 2", number=number, shades=(shade,))) for number in (1, 2))
    ids = [{each.get("id") for each in root.iter() if each.get("id")} for root in (one, two)]
    assert len(ids[0]) == 3
    assert not ids[0] & ids[1]
    assert set((one.get("aria-labelledby") or "").split()) < ids[0]


# --- texts -----------------------------------------------------------------------------------------------------------


def test_a_hostile_name_stays_text() -> None:
    hostile = '</title><script>alert("1")</script>\x1b[2J\u202e&'
    shade = Shade(Interval(NOON, NOON + MINUTE), hostile)
    svg = str(latency_chart(chart("100 200", name=hostile, shades=(shade,))))
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert "\u202e" not in svg
    shown = '</title><script>alert("1")</script>\\x1b[2J\\u202e&'
    assert fromstring(svg).findtext("title") == f"p90 of {shown}"
    assert {each.tag for each in fromstring(svg).iter()} <= {
        *("svg", "title", "desc", "defs", "pattern", "rect", "line", "text", "path", "circle")
    }


def test_what_is_drawn_is_also_said_in_words() -> None:
    said = words(drawn(chart("100 1240 - inf 300", limit=10 * SECOND)))
    assert said == (
        "12:00 to 12:05, America/New_York. Highest p90 1.24 s at 12:01. Last p90 300 ms at 12:04. "
        "In 1 of 5 bins of 1m more than one run in ten failed. 1 of 5 bins of 1m have no data. The limit is 10 s."
    )


def test_a_picture_of_more_than_a_day_names_the_day() -> None:
    root = drawn(chart(" ".join(["100"] * 48), points=bins(" ".join(["100"] * 48), HOUR), width=HOUR, reach=HOUR))
    assert words(root).startswith("01 Jun 12:00 to 03 Jun 12:00")


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0, "0 ms"), (1, "1 ms"), (412_000, "412 ms"), (999_001, "1 s"), (1_240_000, "1.24 s"), (10_000_001, "10.001 s"),
     (75_000_000, "75 s")],
)  # fmt: skip
def test_a_time_is_never_shown_shorter_than_it_was(microseconds: int, text: str) -> None:
    assert latency(microseconds) == text


# --- scales ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "limit", "low", "high", "ticks"),
    [
        ([400, 440], None, 200, 500, [200, 500]),
        ([500], None, 200, 1000, [200, 500, 1000]),
        ([150, 400], 10_000, 100, 20_000, [100, 1000, 10_000]),
        ([], 10_000, 50, 20_000, [100, 1000, 10_000]),
        ([0], None, 1, 2, [1, 2]),
    ],
)
def test_the_scale_runs_between_round_figures_and_has_the_limit_on_it(
    values: list[int], limit: int | None, low: int, high: int, ticks: list[int]
) -> None:
    scale = Scale.over([v * MILLISECOND for v in values], None if limit is None else limit * MILLISECOND)
    assert (scale.low, scale.high) == (low * MILLISECOND, high * MILLISECOND)
    assert scale.ticks == [tick * MILLISECOND for tick in ticks]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=5), st.none() | st.integers(1, 2**40))
def test_nothing_is_drawn_outside_the_plot(values: list[int], limit: int | None) -> None:
    scale = Scale.over(values, limit)
    places = [scale.y(value) for value in sorted(values)]
    assert all(TOP <= place <= BOTTOM for place in places)
    assert places == sorted(places, reverse=True)


@pytest.mark.parametrize(
    ("start", "length", "zone", "labels"),
    [
        ("2026-06-01T13:42:00Z", "1h", "America/New_York", ["09:50", "10:00", "10:10", "10:20", "10:30", "10:40"]),
        ("2026-06-01T13:42:31Z", "2m", "UTC", ["13:43:00", "13:43:30", "13:44:00", "13:44:30"]),
        ("2026-06-01T18:00:00Z", "3h", "Asia/Kathmandu", ["2 Jun", "00:30", "01:00", "01:30", "02:00", "02:30"]),
        # The clocks go back at 06:00 UTC: one o'clock comes twice.
        ("2026-11-01T04:00:00Z", "4h", "America/New_York", ["1 Nov", "01:00", "01:00", "02:00"]),
        # They go forward at 07:00 UTC: two o'clock does not come.
        ("2026-03-08T05:30:00Z", "4h", "America/New_York", ["01:00", "03:00", "04:00", "05:00"]),
        ("2026-06-01T04:00:00Z", "3d", "America/New_York",
         ["1 Jun", "12:00", "2 Jun", "12:00", "3 Jun", "12:00"]),
    ],
)  # fmt: skip
def test_times_are_written_at_round_times_of_day_in_the_zone(
    start: str, length: str, zone: str, labels: list[str]
) -> None:
    at = parse_instant(start)
    ticks = time_ticks(Interval(at, at + parse_duration(length)), ZoneInfo(zone))
    assert [label for _, label in ticks] == labels
    assert [instant for instant, _ in ticks] == sorted({instant for instant, _ in ticks})


def test_a_chart_without_bins_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="needs bins"):
        LatencyChart("portal", 1, NEW_YORK, MINUTE, (), MINUTE)
