"""The X12 codec: typical 271s read and fully checked, on one core, in CPU time of this process."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from bench.measuring import spread
from outrider.codecs.eligibility import Benefit, Inquiry, Member, read_response, write_response

RUNS = 7
MESSAGES = 5_000


def run() -> None:
    inquiry = Inquiry(
        sender_id="OUTRIDER",
        receiver_id="OUTRIDERSANDBOX",
        control_number=1,
        trace="BENCH0001",
        payer_name="OUTRIDER TEST PAYER",
        payer_id="OUTPAYER01",
        provider_name="OUTRIDER TEST CLINIC",
        provider_npi="1234567893",
        member=Member("OUTRIDER", "TESTONE", "OUT100000001", "19700101", "F"),
        service_date="20260601",
        created=datetime(2026, 6, 1, tzinfo=UTC),
    )
    benefits = [
        Benefit("1", service_types=("30", "35", "47", "86", "98"), plan="TEST PLAN"),
        Benefit("B"),
        Benefit("L"),
    ]
    raw = write_response(inquiry, control_number=2, created=inquiry.created, benefits=benefits)
    assert not read_response(raw, trace=inquiry.trace).findings
    rates = []
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(MESSAGES):
            read_response(raw, trace=inquiry.trace)
        rates.append(MESSAGES / (time.process_time() - began))
    print(f"  271 of {len(raw)} bytes, {raw.count(b'~')} segments: {spread(rates, 'messages/s', 0)}")
