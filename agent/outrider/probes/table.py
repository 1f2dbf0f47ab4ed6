"""Every probe there is, by the name that scenarios use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outrider.probes import Probe
from outrider.probes.dns import DnsProbe
from outrider.probes.fhir import FhirProbe
from outrider.probes.http import HttpProbe
from outrider.probes.iso8583 import Iso8583Probe
from outrider.probes.sip import SipProbe
from outrider.probes.smtp import SmtpProbe
from outrider.probes.tcp import TcpProbe
from outrider.probes.tls import TlsProbe
from outrider.probes.x12 import X12Probe

PROBES: Mapping[str, Probe[Any, Any]] = {
    "dns": DnsProbe(),
    "http": HttpProbe(),
    "fhir": FhirProbe(),
    "iso8583": Iso8583Probe(),
    "sip": SipProbe(),
    "smtp": SmtpProbe(),
    "tcp": TcpProbe(),
    "tls": TlsProbe(),
    "x12": X12Probe(),
}

NEEDS: Mapping[str, str] = {"dns": "dns", "iso8583": "iso8583", "tls": "tls"}
"""Probe -> the extra that it cannot do without (`outrider.codecs.extras`)."""
