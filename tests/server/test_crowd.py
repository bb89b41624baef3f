"""Connections give way to new ones: those that only wait, of whom has most of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.http.limits.connections import SPARE, ConnectionLimiter


class Guest:
    """A connection."""

    def __init__(self, *, waits: bool = True) -> None:
        self.is_idle = waits
        self.is_gone = False

    def close_for_other(self) -> None:
        self.is_gone = True


def test_the_oldest_that_only_waits_gives_way_to_a_new_one_of_its_address() -> None:
    crowd = ConnectionLimiter(100, 3)
    busy, idle, later = Guest(waits=False), Guest(), Guest()
    for guest in (busy, idle, later):
        assert crowd.enter(guest, "10.0.0.1")
    assert crowd.enter(Guest(), "10.0.0.1")
    assert [guest.is_gone for guest in (busy, idle, later)] == [False, True, False]


def test_an_address_whose_connections_all_work_gets_no_more_and_others_do() -> None:
    crowd = ConnectionLimiter(100, 2)
    working = [Guest(waits=False) for _ in range(2)]
    assert all(crowd.enter(guest, "10.0.0.1") for guest in working)
    assert not crowd.enter(Guest(), "10.0.0.1")
    assert crowd.enter(Guest(), "10.0.0.2")
    crowd.leave(working[0], "10.0.0.1")
    assert crowd.enter(Guest(), "10.0.0.1")


def test_a_household_is_one_address_and_a_trusted_proxy_none() -> None:
    crowd = ConnectionLimiter(100, 1, ("10.0.0.9",))
    first = Guest()
    assert crowd.enter(first, "2001:db8::1")
    assert crowd.enter(Guest(), "2001:db8::2")
    assert first.is_gone
    many = [Guest(waits=False) for _ in range(50)]
    assert all(crowd.enter(guest, "10.0.0.9") for guest in many)


def test_where_all_places_are_taken_who_has_most_gives_one_up() -> None:
    crowd = ConnectionLimiter(10, 10)
    few = [Guest() for _ in range(2)]
    many = [Guest() for _ in range(8)]
    assert all(crowd.enter(guest, "10.0.0.1") for guest in few)
    assert all(crowd.enter(guest, "10.0.0.2") for guest in many)
    assert crowd.enter(Guest(), "10.0.0.3")
    assert [guest.is_gone for guest in (*few, *many)] == [False, False, True, *[False] * 7]


def test_spare_places_are_few_and_the_newest_have_them() -> None:
    crowd = ConnectionLimiter(1, 1)
    assert crowd.enter(Guest(waits=False), "10.0.0.1")
    spare = [Guest() for _ in range(SPARE + 2)]
    assert not any(crowd.enter(guest, "10.0.0.2") for guest in spare)
    assert [guest.is_gone for guest in spare] == [True, True, *[False] * SPARE]
    crowd.leave(spare[-1], "10.0.0.2")
    assert not crowd.enter(Guest(), "10.0.0.2")
    assert not spare[2].is_gone


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans()), max_size=60))
def test_there_are_never_more_than_may_be(steps: list[tuple[int, bool, bool]]) -> None:
    crowd = ConnectionLimiter(8, 4)
    inside: dict[Guest, str] = {}
    for number, waits, leaves in steps:
        address = f"10.0.0.{number}"
        if leaves and inside:
            guest, whose = next(iter(inside.items()))
            crowd.leave(guest, whose)
            del inside[guest]
            continue
        guest = Guest(waits=waits)
        if crowd.enter(guest, address):
            inside[guest] = address
        inside = {each: whose for each, whose in inside.items() if not each.is_gone}
        assert len(inside) <= 8
        assert all(list(inside.values()).count(each) <= 4 for each in inside.values())
