"""The doctor's page names every fault as it is."""

from __future__ import annotations

from pathlib import Path

from omniq_flow.doctor import faults, server_faults
from omniq_flow.doctor.finding import Fault

PAGE = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")


def test_each_fault_stands_in_its_table_with_what_does_not_hold_and_what_mends_it() -> None:
    names = []
    for module in (faults, server_faults):
        for fault in vars(module).values():
            if isinstance(fault, Fault):
                names.append(fault.name)
                note = "" if fault.grave else " (a note)"
                row = f"| `{fault.name}`{note} | {fault.invariant} |"
                assert row + (f" {fault.remedy or '-'} |" if module is faults else "") in PAGE
    assert len(set(names)) == len(names)
    assert len(names) > 40
