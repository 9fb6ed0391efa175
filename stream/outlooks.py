"""The weekday outlooks of the VMs that a question asks about, read only where it reaches beyond the forecasts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from models.daily import DAY_HOURS
from models.fleet import SLOTS, Vm
from models.forecast import Rung
from models.minutes import Minute
from models.weekday import OUTLOOK_DAYS, Outlook, weekday_outlook
from stream.answer import Subject
from stream.question import Question, reaches_beyond
from stream.stores.history import read_history
from stream.stores.protocols import Series


def with_outlooks(series: Series, subjects: Sequence[Subject], question: Question, now: Minute) -> list[Subject]:
    """The subjects, in order, with their outlooks where `question` reaches beyond 24 hours and there is a forecast.

    What is known of a VM is what its forecast knew. Histories are read block by block, of some thousand VMs at a time,
    so ten thousand ids need some megabytes.
    """
    if not reaches_beyond(question, now):
        return list(subjects)
    by_end: defaultdict[Minute, dict[str, Vm]] = defaultdict(dict)  # an id may be asked about twice
    for vm_id, vm, forecast, _ in subjects:
        if vm is not None and forecast is not None and forecast.record["rung"] != Rung.REFUSED:
            by_end[forecast.first_minute][vm_id] = vm
    known: dict[str, Outlook] = {}
    for end, vms in by_end.items():
        by_block = sorted(vms.values(), key=lambda vm: vm.current.block)
        for start in range(0, len(by_block), SLOTS):
            some = by_block[start : start + SLOTS]
            said = weekday_outlook(read_history(series, some, end, OUTLOOK_DAYS * DAY_HOURS))
            known.update((vm.life.vm_id, said.of(row)) for row, vm in enumerate(some))
    return [subject._replace(outlook=known.get(subject.vm_id)) for subject in subjects]
