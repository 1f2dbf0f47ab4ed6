"""The clearinghouse: X12 in CORE envelopes or alone (`rooms`), and FHIR; its members, claims and reviews."""
