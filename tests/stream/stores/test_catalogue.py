"""What every implementation of `protocols.Catalogue` promises."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import StartOver, StoreError
from models.fleet import Life, Placement, Policy, Vm
from stream.stores.open import Stores
from tests.stream.stores.given import placement

ODD_IDS = [
    "",
    " ",
    "a",
    "a b",
    "a%",
    "a%25",
    "a_",
    "a_b",
    "ab",
    'a"b',
    "a'b; DROP TABLE life; --",
    "a\\b",
    "a/b",
    "a\nb",
    "a\0b",
    "A",
    "\u00c9",  # one code point
    "E\u0301",  # the same to the eye
    "vm-\uffff",
    "vm-😀",
    "vm-😀-2",
    "\U0010ffff",
    "x" * 300,
]
NEXT_SLOT = count()


def put_ids(stores: Stores, vm_ids: list[str]) -> None:
    places = [placement(vm_id, divmod(next(NEXT_SLOT), 2500)[1], block=next(NEXT_SLOT)) for vm_id in vm_ids]
    stores.catalogue.put([Life(vm_id, 0) for vm_id in vm_ids], places)


def ids(vms: list[Vm]) -> list[str]:
    return [vm.life.vm_id for vm in vms]


def test_a_life_and_its_placements_come_back_as_they_were_put(stores: Stores) -> None:
    policy = Policy("Asia/Kathmandu", ("22:00-06:00", "mon-fri 08:00-18:00"), 0.0, opt_out=True)
    one = Life("vm", 5, cluster="北京", memory_mb=2048, interval_min=5, policy=policy)
    places = [
        Placement("vm", 5, 10, "host a", 0.5, 1, 2),
        Placement("vm", 5, 700, "host b", None, 3, 2499),
    ]
    stores.catalogue.put([one], places)
    assert stores.catalogue.lives() == [Vm(one, tuple(places))]


def test_what_is_unknown_of_a_life_stays_unknown(stores: Stores) -> None:
    stores.catalogue.put([Life("vm", -60)], [placement("vm", 0, created_at=-60, from_minute=-60, vcpus=None)])
    (vm,) = stores.catalogue.lives()
    assert vm.life == Life("vm", -60)
    assert vm.life.memory_mb is None
    assert vm.life.policy.max_load_pct is None
    assert vm.current.vcpus is None


def test_placements_are_sorted_by_their_minute_in_whatever_order_they_came(stores: Stores) -> None:
    stores.catalogue.put([Life("vm", 0)], [placement("vm", 3, from_minute=90), placement("vm", 1, from_minute=0)])
    stores.catalogue.put([], [placement("vm", 2, from_minute=60)])
    assert [p.from_minute for p in stores.catalogue.find(["vm"])["vm"].placements] == [0, 60, 90]


def test_a_second_put_replaces_what_has_its_key_and_repeats_harmlessly(stores: Stores) -> None:
    catalogue = stores.catalogue
    catalogue.put([Life("vm", 0), Life("other", 0)], [placement("vm", 0), placement("other", 1)])
    changed = Life("vm", 0, cluster="c", policy=Policy(opt_out=True))
    for _ in range(2):
        catalogue.put([changed], [placement("vm", 7, vcpus=8.0)])
        assert catalogue.find(["vm"])["vm"] == Vm(changed, (placement("vm", 7, vcpus=8.0),))
        assert ids(catalogue.lives()) == ["other", "vm"]


def test_a_reused_id_is_another_life(stores: Stores) -> None:
    catalogue = stores.catalogue
    lives = [Life("vm", created_at) for created_at in (500, 0)]
    catalogue.put(lives, [placement("vm", i, created_at=v.created_at) for i, v in enumerate(lives)])
    assert [vm.life.created_at for vm in catalogue.lives()] == [0, 500]
    assert catalogue.find(["vm"])["vm"].life.created_at == 500
    assert [vm.life.created_at for vm in catalogue.page("", "", 10)] == [500]


def test_a_life_without_a_placement_is_not_told_of(stores: Stores) -> None:
    catalogue = stores.catalogue
    catalogue.put([Life("vm", 0), Life("vm", 500), Life("bare", 0)], [placement("vm", 0)])
    assert [(vm.life.vm_id, vm.life.created_at) for vm in catalogue.lives()] == [("vm", 0)]
    assert catalogue.find(["vm", "bare"])["vm"].life.created_at == 0
    assert catalogue.find(["bare"]) == {}
    assert ids(catalogue.page("", "", 10)) == ["vm"]


@pytest.mark.parametrize("from_minute", [0, 59, 60, 61, 10_000])
def test_a_slot_that_is_another_lifes_is_refused_whatever_the_minute_and_nothing_is_left(
    stores: Stores, from_minute: int
) -> None:
    catalogue = stores.catalogue
    catalogue.put([Life("first", 0)], [placement("first", 3, block=2, from_minute=60)])
    with pytest.raises(StartOver, match=r"'second'.*slot 3 to be free.*'first'"):
        catalogue.put(
            [Life("second", 0), Life("third", 0)],
            [placement("third", 0), placement("second", 3, block=2, from_minute=from_minute), placement("third", 1)],
        )
    assert ids(catalogue.lives()) == ["first"]
    catalogue.put([Life("second", 0)], [placement("second", 4, block=2, from_minute=from_minute)])
    assert ids(catalogue.lives()) == ["first", "second"]


def test_a_placement_is_not_moved_into_a_slot_that_is_another_lifes(stores: Stores) -> None:
    places = [placement("one", 1), placement("two", 2)]
    stores.catalogue.put([Life("one", 0), Life("two", 0)], places)
    with pytest.raises(StartOver, match=r"'two'.*slot 1 to be free.*'one'"):
        stores.catalogue.put([], [placement("two", 1)])
    with pytest.raises(StartOver, match=r"slot 5 to be free"):
        stores.catalogue.put([], [placement("one", 5, from_minute=60), placement("two", 5, from_minute=90)])
    assert [vm.placements for vm in stores.catalogue.lives()] == [(places[0],), (places[1],)]


def test_another_life_of_the_same_id_is_another_life_for_a_slot_too(stores: Stores) -> None:
    stores.catalogue.put([Life("vm", 0)], [placement("vm", 3, from_minute=60)])
    with pytest.raises(StartOver, match="to be free"):
        stores.catalogue.put([Life("vm", 60)], [placement("vm", 3, created_at=60, from_minute=600)])


def test_a_life_keeps_its_slot_through_a_resize_and_comes_back_to_it(stores: Stores) -> None:
    places = [
        placement("vm", 3),
        placement("vm", 3, from_minute=60, vcpus=8.0),
        placement("vm", 1, block=1, from_minute=90),
        placement("vm", 3, from_minute=120),
    ]
    stores.catalogue.put([Life("vm", 0)], places[:2])
    stores.catalogue.put([Life("vm", 0)], places)
    assert stores.catalogue.find(["vm"])["vm"].placements == tuple(places)


def test_lives_of_blocks_come_whole_and_old_ones_too(stores: Stores) -> None:
    places = [
        placement("a", 0, block=1),
        placement("a", 0, block=7, from_minute=60),
        placement("b", 1, block=7),
        placement("b", 2, block=8, created_at=500, from_minute=500),
        placement("c", 0, block=9),
    ]
    lives = [Life("a", 0), Life("b", 0), Life("b", 500), Life("c", 0)]
    stores.catalogue.put(lives, places)
    whole = {vm.life: vm for vm in stores.catalogue.lives()}
    assert stores.catalogue.lives([7]) == [whole[lives[0]], whole[lives[1]]]
    assert stores.catalogue.lives([9, 8]) == [whole[lives[2]], whole[lives[3]]]
    assert stores.catalogue.lives([]) == stores.catalogue.lives([2]) == []


def test_a_placement_without_a_life_is_refused_and_nothing_is_left(stores: Stores) -> None:
    with pytest.raises(StoreError):
        stores.catalogue.put([Life("vm", 0)], [placement("vm", 0), placement("nobody", 1)])
    assert stores.catalogue.lives() == []


def test_find_leaves_unknown_ids_out_and_takes_ten_thousand(stores: Stores) -> None:
    put_ids(stores, ODD_IDS)
    asked = [f"unknown-{i}" for i in range(9_900)] + ODD_IDS + ODD_IDS[:3]
    found = stores.catalogue.find(asked)
    assert sorted(found) == sorted(ODD_IDS)
    assert all(found[vm_id].life.vm_id == vm_id for vm_id in ODD_IDS)
    assert stores.catalogue.find([]) == {}


def test_an_id_that_no_text_can_hold_is_unknown(stores: Stores) -> None:
    put_ids(stores, ["vm"])
    assert list(stores.catalogue.find(["\ud800", "vm"])) == ["vm"]
    assert stores.catalogue.page("\ud800", "", 10) == stores.catalogue.page("", "\ud800", 10) == []


def test_pages_go_through_all_ids_in_code_point_order(stores: Stores) -> None:
    put_ids(stores, ODD_IDS)
    seen, after = [""], ""  # "" itself sorts after nothing: the empty id is no id that a page begins behind
    while page := stores.catalogue.page("", after, 4):
        assert len(page) <= 4
        seen += ids(page)
        after = seen[-1]
    assert seen == sorted(ODD_IDS)


@pytest.mark.parametrize(
    "prefix", ["a", "a%", "a_", "a b", "vm-", "vm-😀", "\U0010ffff", "\u00c9", "E", "b", "x" * 200]
)
def test_a_prefix_is_meant_letter_by_letter(stores: Stores, prefix: str) -> None:
    put_ids(stores, ODD_IDS)
    assert ids(stores.catalogue.page(prefix, "", 100)) == sorted(i for i in ODD_IDS if i.startswith(prefix))


def test_a_page_ends_at_its_limit_and_begins_after_its_cursor(stores: Stores) -> None:
    put_ids(stores, ["a1", "a2", "a3", "b1"])
    assert ids(stores.catalogue.page("a", "", 2)) == ["a1", "a2"]
    assert ids(stores.catalogue.page("a", "a2", 2)) == ["a3"]
    assert ids(stores.catalogue.page("a", "a25", 2)) == ["a3"]
    assert stores.catalogue.page("a", "b", 2) == []
    assert stores.catalogue.page("a", "", 0) == []


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(TEXT, max_size=6), st.text("a%_é😀", max_size=2), st.text("a%_é😀", max_size=2))
def test_any_ids_page_as_python_sorts_them(stores: Stores, vm_ids: set[str], prefix: str, after: str) -> None:
    put_ids(stores, sorted(vm_ids))
    everything = ids(stores.catalogue.lives())
    assert everything == sorted(everything)
    expected = [vm_id for vm_id in everything if vm_id.startswith(prefix) and vm_id > after]
    assert ids(stores.catalogue.page(prefix, after, 1000)) == expected
    assert ids(stores.catalogue.page(prefix, after, 2)) == expected[:2]
