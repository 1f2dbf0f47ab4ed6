"""Every probe there is, by the name that scenarios use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outrider.probes import Probe
from outrider.probes.http import HttpProbe
from outrider.probes.tcp import TcpProbe
from outrider.probes.x12 import X12Probe

PROBES: Mapping[str, Probe[Any, Any]] = {
    "http": HttpProbe(),
    "tcp": TcpProbe(),
    "x12": X12Probe(),
}
