"""`outrider outcomes`: the outcome table, row by row, as it decides: an agent's own rows first, where one is given."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from outrider.codecs.outcome_table import OUTCOME_TABLE
from outrider.commands import BAD_CONFIG, PASS, complain
from outrider.config import load_agent
from outrider.core.outcome import FAULTS, STANDINGS, OutcomeTable, Rule, Standing
from outrider.strict_yaml import ConfigError

_NETWORK = {**{standing: standing.value for standing in Standing}, Standing.PARTNER: "good"}
_END_TO_END = {**_NETWORK, Standing.PARTNER: "bad"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table with what its class means: whose fault it is, and how it counts in each view."""

    place: str
    code: str
    outcome: str
    fault: str
    network: str
    end_to_end: str

    @classmethod
    def of(cls, rule: Rule) -> Row:
        standing = STANDINGS[rule.outcome]
        fault = FAULTS[rule.outcome]
        return cls(rule.place, rule.code, rule.outcome, fault, _NETWORK[standing], _END_TO_END[standing])


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="an agent's YAML file with rows of its own")
    parser.add_argument("--json", action="store_true", help="rows as JSON, one a line")


def run(arguments: argparse.Namespace) -> int:
    try:
        table = load_agent(arguments.config).table if arguments.config else OUTCOME_TABLE
    except ConfigError as error:
        complain(error)
        return BAD_CONFIG
    show(table, as_json=arguments.json)
    return PASS


def show(table: OutcomeTable, *, as_json: bool) -> None:
    """Print the table in the order in which it is tried."""
    rows = [asdict(Row.of(rule)) for rule in table]
    if as_json:
        for row in rows:
            print(json.dumps(row))
    else:
        from outrider.terminal.records import show_outcomes

        show_outcomes(rows)
