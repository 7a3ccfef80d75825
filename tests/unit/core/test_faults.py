from notifyflow.core.faults import Faults
from notifyflow.core.forms import add_new
from notifyflow.errors import NAMED, Fault, InvalidIncident, named


def fault(where: str) -> Fault:
    return Fault(where, "is wrong", "Mend it")


def test_the_first_are_kept_and_the_others_counted() -> None:
    faults = Faults()
    assert not faults
    for number in range(NAMED + 1):
        faults.add(fault(str(number)))
    assert [each.where for each in faults][:NAMED] == [str(number) for number in range(NAMED)]
    assert [str(each) for each in faults][NAMED] == "document: 1 more thing is wrong. Correct what is named, and try again."
    faults.count(1_000)
    faults.add(Fault("x", "is wrong eight times", "Mend it", 8))
    assert [each.what for each in faults][NAMED] == "1,009 more things are wrong"
    assert InvalidIncident(faults).count == NAMED + 1_009


def test_what_is_only_counted_is_never_described() -> None:
    faults = Faults(most=1)
    faults.note(lambda: fault("first"))
    assert not faults.has_room
    faults.note(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    assert [each.where for each in faults] == ["first", "document"]


def test_without_a_limit_all_are_kept() -> None:
    faults = Faults(most=None)
    faults.add_all(fault(str(number)) for number in range(100))
    assert len(list(faults)) == 100


def test_counting_alone_is_something_wrong() -> None:
    faults = Faults()
    faults.count(3)
    assert faults


def test_faults_that_exist_are_named_the_same_way_and_counted_once() -> None:
    few, many = [fault("a")], [fault(str(number)) for number in range(30)]
    assert named(few) == tuple(few)
    assert named(many)[:NAMED] == tuple(many[:NAMED])
    assert sum(each.count for each in named(many)) == sum(each.count for each in named(named(many))) == 30


def test_faults_that_follow_from_an_unreadable_place_are_not_listed() -> None:
    faults = Faults()
    faults.add_all([fault("recipients[1].id"), fault("labels")])
    found = ["recipients", "recipients[1]", "recipients[1].id", "recipients[10].id", "recipients[1].idle", "labels.a.b", "label"]
    add_new(faults, [fault(where) for where in found])
    places = [each.where for each in faults]
    assert places == ["recipients[1].id", "labels", "recipients[10].id", "recipients[1].idle", "label"]
