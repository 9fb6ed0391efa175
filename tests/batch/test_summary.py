"""What a scored fleet says: rows in order, figures by name, text that lines up, JSON without NaN."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batch.by_kind import LEAST_DAYS, kind_rows, methods_shown
from batch.peers import RULES
from batch.scoring import HOUR, ORACLE, OURS, PLAIN, Scored
from batch.summary import as_json, as_text, best_peer, figures_of, number, rows_of, table_lines

NAMES = {
    "regret_macro",
    "regret_macro_best_peer",
    "regret_pooled",
    "regret_pooled_best_peer",
    "regret_10m",
    "regret_10m_best_peer",
    "regret_30m",
    "regret_30m_best_peer",
    "mae",
    "mae_best_peer",
    "coverage_p90",
    "coverage_p90_vm_p10",
    "confidence_error",
    "infer_s_per_10k",
}


def test_rows_come_by_regret_the_oracle_last_and_every_bar_holds_its_value(scored: Scored) -> None:
    rows = rows_of(scored)
    assert {row.method for row in rows} == {*RULES, PLAIN, OURS, ORACLE}
    assert rows[-1].method == ORACLE
    regrets = [row.regrets[HOUR].macro for row in rows]
    assert regrets == sorted(regrets, reverse=True)
    for row in rows:
        low, high = row.bars[HOUR][0]
        assert low <= row.regrets[HOUR].macro <= high


def test_figures_bear_the_names_of_the_benchmark(scored: Scored) -> None:
    rows = rows_of(scored)
    figures = figures_of(scored, rows)
    assert set(figures) >= NAMES
    peer = best_peer(rows, "macro")
    assert peer.method not in (OURS, ORACLE)
    assert figures["regret_macro_best_peer"] == peer.regrets[HOUR].macro
    apart = figures["regret_macro"] - figures["regret_macro_best_peer"]
    assert figures["regret_macro_over_best_peer_low"] <= apart <= figures["regret_macro_over_best_peer_high"]


def test_the_table_lines_up(scored: Scored) -> None:
    lines = table_lines(rows_of(scored))
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 130
    assert lines[-1].startswith(ORACLE)


def test_text_ends_with_name_and_value_lines(scored: Scored) -> None:
    lines = as_text(scored, rows_of(scored)).splitlines()
    pairs = dict(line.split(": ", 1) for line in lines[lines.index("vms: 30") :])
    assert pairs["origins"] == str(len(scored.answered))
    assert 0 <= float(pairs["regret_macro"]) < 1


def test_json_holds_the_same_and_knows_no_nan(scored: Scored) -> None:
    blind = scored._replace(mae_pct={**scored.mae_pct, OURS: float("nan")})
    found = json.loads(as_json(blind, rows_of(blind)), parse_constant=pytest.fail)
    assert found["figures"]["mae"] is None
    assert found["vms"] == 30
    ours = next(row for row in found["methods"] if row["method"] == OURS)
    assert ours["regret"][HOUR]["macro"] == found["figures"]["regret_macro"]


def test_what_is_not_known_is_a_dash() -> None:
    assert number(float("nan"), 2) == "–"
    assert number(0.0, 2) == "0.00"


def test_kinds_have_their_own_rows_with_bars_and_a_kind_of_few_days_has_none(scored: Scored) -> None:
    rows = rows_of(scored)
    kinds = kind_rows(scored, rows)
    assert kinds
    assert sum(kind.vms for kind in kinds) <= 30
    for kind in kinds:
        assert kind.vm_days >= LEAST_DAYS
        assert list(kind.cells) == methods_shown(rows)
        for cell in kind.cells.values():
            assert cell.bar.low <= cell.regret <= cell.bar.high
    nobody = scored._replace(kinds=scored.kinds._replace(rhythm=np.full(30, -1)))
    assert kind_rows(nobody, rows) == []
